"""What every part of deployment.yaml has in common."""

import pytest
from pydantic import ValidationError

from statehouse.scripts.deployment.section import Section


class Inner(Section):
    size: int = 3


class Outer(Section):
    name: str = "x"
    inner: Inner = Inner()


@pytest.mark.parametrize("data", [None, {}, {"inner": None}, {"name": None, "inner": {"size": None}}])
def test_what_is_left_empty_means_its_defaults(data):
    assert Outer.model_validate(data) == Outer()


def test_a_setting_that_there_is_not_is_refused_even_empty():
    for data in ({"nam": None}, {"inner": {"sizes": 1}}):
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            Outer.model_validate(data)


@pytest.mark.parametrize("data", [[], "text", 3])
def test_what_is_no_mapping_is_refused(data):
    with pytest.raises(ValidationError, match="valid dictionary"):
        Outer.model_validate(data)


def test_it_does_not_change_and_can_be_a_key():
    with pytest.raises(ValidationError, match="frozen"):
        Outer().name = "y"
    assert {Outer(): 1}[Outer(inner=Inner(size=3))] == 1
