from typing import Any

import pytest

from statehouse.scripts.changes.apply import plan
from statehouse.scripts.deployment.edits import settings_for, with_default, with_version, without
from statehouse.scripts.deployment.file import Deployment, VersionSettings
from statehouse.scripts.errors import ChangeError


def deployment(**models: Any) -> Deployment:
    return Deployment.model_validate({"models": models})


def model(default: str, *versions: str, workers: int = 1) -> dict[str, Any]:
    return {"default": default, "versions": {version: {"workers": workers} for version in versions}}


DIGITS = deployment(digits=model("1.0", "1.0"))
SETTINGS = {"batch_size": 8, "optimizations": ["channels_last", "freeze"]}
FROZEN = deployment(digits={"default": "1.0", "versions": {"1.0": SETTINGS}})


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        (DIGITS, DIGITS, []),
        (DIGITS, deployment(digits=model("1.0", "1.0", "1.1")), ["load digits 1.1 (1 worker)"]),
        (
            DIGITS,
            deployment(digits=model("1.1", "1.1")),
            ["load digits 1.1 (1 worker)", "make 1.1 the default of digits (now: 1.0)", "retire digits 1.0"],
        ),
        (DIGITS, deployment(digits=model("1.0", "1.0", workers=2)), ["change digits 1.0: workers 1 → 2"]),
        (
            DIGITS,
            FROZEN,
            ["change digits 1.0: batch_size 64 → 8, optimizations none → channels_last, freeze"],
        ),
        (
            DIGITS,
            deployment(wine=model("1.0", "1.0")),
            ["load wine 1.0 (1 worker)", "make 1.0 the default of wine (now: none)", "retire digits 1.0"],
        ),
    ],
)
def test_the_plan_adds_first_and_removes_last(
    current: Deployment, wanted: Deployment, expected: list[str]
) -> None:
    assert [part.text for part in plan(current, wanted)] == expected


def test_what_only_a_new_start_can_change_is_refused() -> None:
    wanted = DIGITS.model_copy(update={"architectures": ["my_nets"], "model_store": "elsewhere"})
    with pytest.raises(ChangeError, match=r"^model_store: only a new start"):
        plan(DIGITS, wanted)


def test_modules_are_named_before_what_may_need_them_is_loaded() -> None:
    wanted = deployment(digits=model("1.0", "1.0", "1.1")).model_copy(update={"architectures": ["my_nets"]})
    first, *_ = plan(DIGITS, wanted)
    assert first.text == "name as modules of architectures: my_nets"


class TestDesiredStates:
    def test_a_new_default_remembers_the_old_one(self) -> None:
        changed = with_default(DIGITS, "digits", "1.1", settings_for(DIGITS, "digits", "1.1"))
        assert changed.models["digits"].default == "1.1"
        assert changed.models["digits"].previous == "1.0"
        assert set(changed.models["digits"].versions) == {"1.0", "1.1"}
        again = with_default(changed, "digits", "1.1", settings_for(changed, "digits", "1.1"))
        assert again == changed

    def test_a_name_begins_with_its_first_version_and_ends_with_its_last(self) -> None:
        changed = with_version(DIGITS, "wine", "1.0", VersionSettings())
        assert changed.models["wine"].default == "1.0"
        assert without(changed, "wine", "1.0") == DIGITS

    def test_a_version_takes_over_the_settings_of_the_one_it_succeeds(self) -> None:
        current = deployment(digits=model("1.0", "1.0", workers=3))
        assert settings_for(current, "digits", "1.1").workers == 3

    def test_a_retired_version_can_still_be_rolled_back_to(self) -> None:
        changed = with_default(DIGITS, "digits", "1.1", settings_for(DIGITS, "digits", "1.1"))
        assert without(changed, "digits", "1.0").models["digits"].previous == "1.0"
