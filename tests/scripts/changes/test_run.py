"""One change at a time, and a line in the journal however it ends; whole changes run in tests/e2e and tests/faults."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from statehouse.scripts.changes.change import Change
from statehouse.scripts.changes.run import run_change
from statehouse.scripts.deployment.file import Deployment, DeploymentFile, write_deployment
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.errors import (
    ChangeAbortedError,
    ChangeBusyError,
    ChangeError,
    EditedDeploymentError,
    RolledBackError,
)
from statehouse.scripts.supervisor.change_counts import ChangeCounts
from statehouse.scripts.supervisor.desired_state import DesiredState
from statehouse.scripts.supervisor.running_change import Asked
from statehouse.scripts.supervisor.turn import Turn

DEPLOYMENT = Deployment.model_validate({"models": {"net": {"default": "1.0", "versions": {"1.0": {}}}}})


async def nothing(*about: Any) -> None:
    pass


class Ended:
    """TorchServe's process, which runs on."""

    def needed(self) -> Any:
        return self

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *error: Any) -> None:
        pass


@pytest.fixture
def parts(tmp_path: Path) -> Any:
    file = tmp_path / "deployment.yaml"
    write_deployment(file, DEPLOYMENT)
    journal = Journal(file)

    def absent(name: str, version: str) -> Any:
        return SimpleNamespace(digest="sha256:0")

    front = SimpleNamespace(
        default_of=lambda name: "1.0", watch=nothing, unwatch=nothing, remove_canary=nothing
    )
    outcomes = SimpleNamespace(
        begin=lambda name: None, take=lambda name: {}, end=lambda name: None
    )  # nobody asks meanwhile
    return SimpleNamespace(
        desired=DesiredState(DEPLOYMENT, DeploymentFile(file), journal),
        journal=journal,
        turn=Turn(),
        change_counts=ChangeCounts(),
        store=SimpleNamespace(get=absent),
        front=front,
        outcomes=outcomes,
        torchserve=SimpleNamespace(process=Ended()),
        fleet=SimpleNamespace(versions={}, assert_default=nothing),
        drain=None,
    )


def run(parts: Any, body: Any, *, kind: str = "swap", wait: bool = True) -> Any:
    asked = Asked(kind, "net", "me", "here", wait)
    return run_change(parts, asked, lambda step: None, body)


async def one_step(change: Change) -> str:
    async with change.step("load", "loaded"):
        pass
    return "loaded"


def lines(parts: Any) -> list[Any]:
    return list(parts.journal.read())


def test_what_was_done_is_written_down_and_counted(parts):
    assert asyncio.run(run(parts, one_step)) == "loaded"
    [line] = lines(parts)
    assert (line["kind"], line["outcome"], line["serving"]) == ("swap", "done", "1.0")
    assert [step["name"] for step in line["steps"]] == ["load"]
    assert parts.change_counts.counts((), (), ()) == {("net", "swap", "done"): 1}
    assert parts.journal.pending() is None


def test_what_changed_nothing_leaves_no_line(parts):
    asyncio.run(run(parts, nothing))
    assert lines(parts) == []


@pytest.mark.parametrize(
    ("error", "outcome"), [(ChangeError("no"), "failed"), (RolledBackError("worse"), "rolled back")]
)
def test_how_it_failed_is_written_down(parts, error, outcome):
    async def fails(change: Change) -> None:
        async with change.step("load", "loaded"):
            raise error

    with pytest.raises(type(error)):
        asyncio.run(run(parts, fails))
    [line] = lines(parts)
    assert (line["outcome"], line["reason"]) == (outcome, str(error))


def test_what_is_refused_before_anything_was_done_is_no_failed_change(parts):
    async def refused(change: Change) -> None:
        raise ChangeError("there is no such version")

    with pytest.raises(ChangeError):
        asyncio.run(run(parts, refused))
    [line] = lines(parts)
    assert (line["outcome"], line["reason"]) == ("refused", "there is no such version")
    assert parts.change_counts.counts((), (), ()) == {}


def test_a_second_one_waits_or_is_refused(parts):
    order: list[str] = []

    async def first(change: Change) -> None:
        await asyncio.sleep(0.05)
        order.append("first")

    async def second(change: Change) -> None:
        order.append("second")

    async def both() -> None:
        running = asyncio.create_task(run(parts, first))
        while parts.turn.running is None:
            await asyncio.sleep(0)
        with pytest.raises(ChangeBusyError, match="swap net by me@here is running"):
            await run(parts, second, wait=False)
        await run(parts, second)
        await running

    asyncio.run(both())
    assert order == ["first", "second"]


def test_an_edit_that_is_not_applied_refuses_all_but_apply(parts):
    with parts.desired.path.open("a") as file:
        file.write("# mine\n")
    with pytest.raises(EditedDeploymentError, match="statehouse apply"):
        asyncio.run(run(parts, one_step))
    assert asyncio.run(run(parts, one_step, kind="apply")) == "loaded"


def test_nothing_begins_while_the_server_stops(parts):
    asyncio.run(parts.turn.stop())
    with pytest.raises(ChangeError, match="stopping"):
        asyncio.run(run(parts, one_step))


def test_a_stop_undoes_what_was_not_decided(parts):
    begun = asyncio.Event()

    async def long(change: Change) -> None:
        async with change.step("load", "loaded"):
            begun.set()
            await asyncio.sleep(60)

    async def stopped() -> None:
        task = asyncio.create_task(run(parts, long))
        await begun.wait()
        await parts.turn.stop()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    [line] = lines(parts)
    assert (line["outcome"], line["reason"]) == ("interrupted, undone", "the server was stopped")


def test_one_that_is_aborted_is_written_down_as_that(parts):
    begun = asyncio.Event()

    async def long(change: Change) -> None:
        async with change.step("load", "loaded"):
            begun.set()
            await asyncio.sleep(60)

    async def aborted() -> None:
        task = asyncio.create_task(run(parts, long))
        await begun.wait()
        running = parts.turn.find(None)
        running.abort("you@there")
        with pytest.raises(ChangeAbortedError, match=r"during the step 'load'\. All is as it was before"):
            await task
        assert running.outcome == "aborted"
        assert running.ended.is_set()
        assert not parts.turn.lock.locked()

    asyncio.run(aborted())
    [line] = lines(parts)
    assert line["outcome"] == "aborted"
    assert line["reason"].startswith("swap net was aborted by you@there")
    assert parts.change_counts.counts((), (), ()) == {("net", "swap", "aborted"): 1}
    assert parts.journal.pending() is None
