"""Running one change: alone, counted, and written down however it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from statehouse.models.errors import StatehouseError, listed
from statehouse.scripts.changes.change import Change
from statehouse.scripts.changes.go_back import Before, go_back
from statehouse.scripts.deployment.journal import TRIAL
from statehouse.scripts.errors import (
    ChangeAbortedError,
    ChangeBusyError,
    ChangeError,
    EditedDeploymentError,
    InterfaceError,
    RolledBackError,
    ServerEndedError,
    UnknownCodeError,
    VersionNotFoundError,
)
from statehouse.scripts.progress import Report, Step
from statehouse.scripts.supervisor.change_counts import ABORTED, DONE, FAILED, REFUSED, ROLLED_BACK
from statehouse.scripts.supervisor.desired_state import DesiredState
from statehouse.scripts.supervisor.parts import ServerParts
from statehouse.scripts.supervisor.running_change import Asked, RunningChange
from statehouse.scripts.supervisor.turn import Turn

Result = TypeVar("Result")

_OUTCOMES: dict[type[Exception], str] = {RolledBackError: ROLLED_BACK, ChangeAbortedError: ABORTED}
# What was asked for cannot be, whoever asks: with these, before anything was done, no change has failed.
REFUSALS = {ChangeError, InterfaceError, UnknownCodeError, VersionNotFoundError}


async def run_change(
    parts: ServerParts, asked: Asked, report: Report, body: Callable[[Change], Awaitable[Result]]
) -> Result:
    """Run one change alone and write down how it went, whatever that was.

    Raises ChangeBusyError when another runs and this one does not wait, EditedDeploymentError when deployment.yaml was
    edited meanwhile, ChangeAbortedError when somebody aborts it, and what ``body`` raises.
    """
    running = RunningChange(asked)
    try:
        await _wait_for_its_turn(parts.turn, running, report)
        try:
            if parts.turn.stopping:
                raise ChangeError("The server is stopping. Nothing was changed.")
            with parts.turn.of_change(running):
                if asked.kind not in ("apply", TRIAL):
                    refuse_edited(parts.desired)
                return await _observed(Change(parts, running, report), Before.of(parts), body)
        finally:
            parts.turn.lock.release()
    except ChangeAbortedError:
        running.outcome = ABORTED  # also of one that still waited
        raise
    finally:
        running.ended.set()


async def _wait_for_its_turn(turn: Turn, running: RunningChange, report: Report) -> None:
    if turn.lock.locked():
        other = turn.running
        if not running.asked.wait:
            told = f"{other.asked.title} by {other.asked.who}" if other else "a start"
            raise ChangeBusyError(
                f"{told} is running: wait for it (leave out --no-wait), or try again. `statehouse status` says how far "
                "it is."
            )
        report(Step("wait", f"waiting for {other.told() if other else 'a start'}", state="begun"))
    await turn.acquire(running)


async def _observed(change: Change, before: Before, body: Callable[[Change], Awaitable[Result]]) -> Result:
    began = time.monotonic()
    outcome, reason = FAILED, None
    try:
        await change.count(change.name)
        result = await _undone_if_aborted(change, before, body)
        outcome = DONE
        return result  # noqa: TRY300 - what follows is for every way out
    except asyncio.CancelledError:
        outcome, reason = await change.settle(), "the server was stopped"
        raise
    except ServerEndedError as error:
        outcome = await change.settle()
        reason = f"{error} The change was {outcome}."
        raise ServerEndedError(reason) from error
    except Exception as error:
        outcome = _OUTCOMES.get(type(error), FAILED)
        if type(error) in REFUSALS and not change.entry["steps"]:
            outcome = REFUSED
        reason = str(error) if isinstance(error, StatehouseError) else repr(error)
        raise
    finally:
        change.running.outcome = outcome
        try:
            await change.close(outcome, reason, time.monotonic() - began)
        except StatehouseError as error:
            # It has happened all the same; what became of it must not be hidden behind this.
            change.say(str(error), failed=True)


async def _undone_if_aborted(
    change: Change, before: Before, body: Callable[[Change], Awaitable[Result]]
) -> Result:
    try:
        return await body(change)
    except ChangeAbortedError as error:
        left = await go_back(change, before)
        if left:
            raise ChangeAbortedError(listed(f"{error} Not all of it could be undone:", left)) from error
        raise ChangeAbortedError(f"{error} All is as it was before.") from error


def refuse_edited(desired: DesiredState) -> None:
    """Refuse a change that would write over somebody's edit of deployment.yaml."""
    if desired.was_edited():
        raise EditedDeploymentError(
            f"{desired.path} was edited and is not applied: run `statehouse apply`, "
            "or undo the edit. Nothing was changed."
        )
