"""What is told of a change that runs, and where an abort cuts it off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from statehouse.scripts.errors import ChangeAbortedError, TorchServeError
from statehouse.scripts.supervisor import running_change
from statehouse.scripts.supervisor.running_change import Asked, RunningChange, RunningStep


@pytest.fixture
def running() -> RunningChange:
    return RunningChange(Asked("swap", "digits", "anna", "here", version="1.1"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still."""
    now = [1000.0]
    monkeypatch.setattr(running_change.time, "monotonic", lambda: now[0])
    return now


def at(step: RunningStep, seconds: float) -> RunningStep:
    """A step that runs for so long."""
    step.began = 1000.0 - seconds
    return step


@pytest.mark.parametrize(
    ("step", "ahead", "told"),
    [
        (RunningStep("verify"), 0, "verify"),
        (RunningStep("load", 4.0, share=lambda: 0.5), 0, "load, 50 % done, about 3 s left"),
        (RunningStep("load", 0.5, share=lambda: 2.0), 0, "load, 100 % done"),
        (RunningStep("load", 4.0), 300, "load, 25 % done, about 5 min left"),
        (RunningStep("fetch"), 60, "fetch, at least 60 s left"),
        (RunningStep("drain", 30.0, at_most=True), 0, "drain, at most 29 s left"),
        (RunningStep("fetch", progress="net 1.0 ━━─ 60%"), 0, "net 1.0 ━━─ 60%"),
    ],
)
def test_a_step_is_told_with_what_is_known_of_it(running, clock, step, ahead, told) -> None:
    running.begin(at(step, 1.0))
    running.seconds_ahead = ahead
    assert running.told() == f"swap digits 1.1 by anna@here: {told}"


def test_what_lies_ahead_gets_less_with_each_step_of_a_known_length(running, clock) -> None:
    running.seconds_ahead = 90.0
    running.begin(at(RunningStep("canary 5%", 30.0), 0.0))
    plain = running.to_plain()
    assert plain["remaining"] == {"is": "about", "seconds": 90.0}
    running.begin(at(RunningStep("canary 50%", 30.0), 15.0))
    plain = running.to_plain()
    assert plain["remaining"] == {"is": "about", "seconds": 45.0}
    assert (plain["step"], plain["step_share"], plain["aborted_by"]) == ("canary 50%", 0.5, None)


def test_before_its_first_step_there_is_nothing_to_tell_but_who_wants_what(running) -> None:
    plain = running.to_plain()
    assert plain["text"] == "swap digits 1.1 by anna@here"
    assert (plain["kind"], plain["name"], plain["version"]) == ("swap", "digits", "1.1")
    assert plain["step"] is plain["remaining"] is plain["step_share"] is None


def test_an_abort_cuts_a_step_off_at_once(running) -> None:
    async def body() -> None:
        running.begin(RunningStep("load"))
        with running.cuttable():
            await asyncio.sleep(3600)

    async def run() -> None:
        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        running.abort("bob@there")
        with pytest.raises(ChangeAbortedError, match="aborted by bob@there during the step 'load'"):
            await task

    asyncio.run(run())
    assert "being aborted by bob@there" in running.told()


def test_what_cannot_be_cleaned_up_after_the_cut_makes_it_no_failure(running) -> None:
    async def body() -> None:
        with running.cuttable():
            try:
                await asyncio.sleep(3600)
            finally:
                raise TorchServeError("it could not be taken back")

    async def run() -> int:
        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        running.abort("bob@there")
        with pytest.raises(ChangeAbortedError) as aborted:
            await task
        assert isinstance(aborted.value.__cause__, TorchServeError)
        return task.cancelling()

    assert asyncio.run(run()) == 0


def test_what_must_be_whole_is_not_cut_off_and_nothing_comes_after_it(running) -> None:
    done: list[str] = []

    async def body() -> None:
        with running.cuttable():
            await asyncio.sleep(0)
            running.finish_step()
            await asyncio.sleep(0.01)
            done.append("the rest of the step")
        done.append("the next step")

    async def run() -> None:
        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.abort("bob@there")
        with pytest.raises(ChangeAbortedError):
            await task

    asyncio.run(run())
    assert done == ["the rest of the step"]


def test_what_undoes_an_abort_is_not_aborted(running) -> None:
    async def body() -> str:
        with running.cuttable():
            await asyncio.sleep(0.01)
        return "undone"

    async def run() -> Any:
        running.abort("bob@there")
        running.undoing = True
        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        running.abort("bob@there")
        return await task

    assert asyncio.run(run()) == "undone"


def test_a_server_that_stops_is_no_abort(running) -> None:
    async def body() -> None:
        with running.cuttable():
            await asyncio.sleep(3600)

    async def run() -> None:
        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        running.abort("bob@there")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
