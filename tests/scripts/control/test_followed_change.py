from __future__ import annotations

import contextlib
from typing import Any

import pytest

from statehouse.scripts.control.followed_change import FollowedChange, Interrupted
from statehouse.scripts.errors import CommandError
from statehouse.scripts.progress import Step

BEGUN = {"change": "1a2b", "title": "swap net 1.1"}
LOADED = {"step": {"name": "load", "text": "loaded", "seconds": 1.0, "state": "done"}}
DONE = {"outcome": "done", "result": {"serving": "1.1"}}


def followed(*lines: dict[str, Any]) -> FollowedChange:
    return FollowedChange(lambda take: take(lines))


def test_its_steps_then_what_came_of_it() -> None:
    steps: list[Step] = []
    change = followed(BEGUN, LOADED, DONE)
    assert change.result(steps.append) == {"serving": "1.1"}
    assert steps == [Step("load", "loaded", 1.0)]
    assert (change.id, change.title) == ("1a2b", "swap net 1.1")


def test_what_came_of_it_may_be_a_reason_why_not() -> None:
    with pytest.raises(CommandError, match="no such version"):
        followed(BEGUN, {"outcome": "failed", "message": "no such version"}).result(lambda step: None)


def test_a_supervisor_that_ends_says_nothing_of_how_it_went() -> None:
    with pytest.raises(CommandError, match="before it said how it went"):
        followed(BEGUN, LOADED).result(lambda step: None)


def test_what_reading_raises_is_raised_where_the_result_is_waited_for() -> None:
    def read(take: Any) -> None:
        raise CommandError("nobody serves")

    with pytest.raises(CommandError, match="nobody serves"):
        FollowedChange(read).result(lambda step: None)


def test_an_interruption_loses_no_line() -> None:
    steps: list[Step] = []
    change = followed(LOADED, DONE)
    change.interrupt(2)
    results: list[Any] = []
    while not results:
        with contextlib.suppress(Interrupted):
            results.append(change.result(steps.append))
    assert results == [{"serving": "1.1"}]
    assert len(steps) == 1
    assert change.signals == [2]
