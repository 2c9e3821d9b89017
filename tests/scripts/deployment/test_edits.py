"""Desired states made of desired states: nothing but what was wanted is changed, and nothing in place."""

from statehouse.scripts.deployment.edits import holds, settings_for, with_default, with_version, without
from statehouse.scripts.deployment.file import Deployment, VersionSettings

ONE, TWO = VersionSettings(threads=1), VersionSettings(threads=2)
BEFORE = Deployment.model_validate(
    {
        "limits": {"request_timeout_seconds": 5},
        "models": {
            "digits": {"default": "1.1", "previous": "1.0", "versions": {"1.0": ONE, "1.1": TWO}},
            "cancer": {"default": "3.0", "versions": {"3.0": ONE}},
        },
    }
)
COPY = BEFORE.model_copy(deep=True)


def rest_of(deployment):
    return deployment.model_dump(exclude={"models": {"digits"}})


def test_what_is_held():
    assert holds(BEFORE, "digits", "1.0")
    assert not holds(BEFORE, "digits", "3.0")
    assert not holds(BEFORE, "flowers", "1.0")


def test_a_new_version_has_the_settings_of_the_one_it_succeeds():
    assert settings_for(BEFORE, "digits", "1.0") == ONE
    assert settings_for(BEFORE, "digits", "9.0") == TWO
    assert settings_for(BEFORE, "flowers", "1.0") is None


def test_a_version_is_loaded_beside_the_others():
    after = with_version(BEFORE, "digits", "1.2", ONE)
    model = after.models["digits"]
    assert model.versions == {"1.0": ONE, "1.1": TWO, "1.2": ONE}
    assert (model.default, model.previous) == ("1.1", "1.0")
    assert rest_of(after) == rest_of(BEFORE)
    assert with_version(BEFORE, "digits", "1.0", TWO).models["digits"].versions["1.0"] == TWO


def test_the_first_of_a_name_is_its_default():
    for first in (with_version, with_default):
        model = first(BEFORE, "flowers", "1.0", ONE).models["flowers"]
        assert (model.default, model.previous, model.versions) == ("1.0", None, {"1.0": ONE})


def test_a_new_default_can_be_rolled_back():
    after = with_default(BEFORE, "digits", "1.2", ONE)
    assert (after.models["digits"].default, after.models["digits"].previous) == ("1.2", "1.1")
    assert rest_of(after) == rest_of(BEFORE)
    back = with_default(after, "digits", "1.1", TWO).models["digits"]
    assert (back.default, back.previous) == ("1.1", "1.2")


def test_a_default_that_is_made_so_again_keeps_what_was_before_it():
    model = with_default(BEFORE, "digits", "1.1", ONE).models["digits"]
    assert (model.default, model.previous, model.versions["1.1"]) == ("1.1", "1.0", ONE)


def test_without_its_last_version_a_name_is_gone():
    assert list(without(BEFORE, "digits", "1.0").models["digits"].versions) == ["1.1"]
    assert list(without(BEFORE, "cancer", "3.0").models) == ["digits"]
    assert without(BEFORE, "digits", "9.0") == BEFORE


def test_what_was_before_is_as_it_was():
    assert BEFORE == COPY
