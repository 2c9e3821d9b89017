"""What the configs of all tasks share."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from statehouse.models.errors import TaskConfigError
from statehouse.models.tasks.config import Label, PlainConfig, Positive, TaskConfig, refuse, repeated


class Inner(PlainConfig):
    scale: Positive = 1.0


class Outer(TaskConfig):
    task: str = "test"
    label: Label
    inner: Inner = Inner()


def test_a_call_lists_every_problem_at_once():
    with pytest.raises(TaskConfigError) as caught:
        Outer(label="", inner={"scale": 0.0}, labl="x")
    assert caught.value.header == "Outer does not fit:"
    assert len(caught.value.problems) == 3
    assert any(
        problem.startswith("labl: is not a field here (did you mean 'label'?)")
        for problem in caught.value.problems
    )
    assert any(problem.startswith("inner.scale: got 0.0; ") for problem in caught.value.problems)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), "1", True, -1.0])
def test_values_are_taken_as_they_are_and_finite(scale):
    with pytest.raises(TaskConfigError, match="scale"):
        Inner(scale=scale)


def test_parts_of_a_config_are_read_by_pydantic_itself():
    """Else the problems of one part would hide those of the others."""
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"label": "", "inner": {"scale": -1.0}})
    assert len(caught.value.errors()) == 2


def test_a_config_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Inner().scale = 2.0


def test_it_is_plain_without_the_name_of_its_task():
    assert Outer(label="a").to_plain() == {"label": "a", "inner": {"scale": 1.0}}
    assert Outer(label="a").to_facts() == Outer(label="a").to_plain()


def test_what_is_there_twice_is_named_once():
    assert repeated("labels", ["a", "b", "a", "a", "c", "b"]) == [
        "labels must differ from each other; repeated: a, b"
    ]
    assert repeated("labels", ["a", "b"]) == repeated("labels", []) == []


def test_problems_become_one():
    config = Inner()
    assert refuse(config, []) is config
    with pytest.raises(ValueError, match=r"^one; two$"):
        refuse(config, ["one", "two"])
