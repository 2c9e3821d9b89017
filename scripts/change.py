"""One change to what is served: its steps journalled before they run, its traffic counted, its end written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from models.errors import StatehouseError
from scripts.deployment import Deployment
from scripts.errors import (
    ChangeBusyError,
    ChangeError,
    DeploymentWriteError,
    EditedDeploymentError,
    RolledBackError,
    ServerEndedError,
    StoreError,
    TorchServeError,
)
from scripts.interrupted import OVERRULED, Landing
from scripts.journal import TRIAL, Entry, now_text
from scripts.outcomes import Outcomes
from scripts.steps import Report, Step
from scripts.supervisor import Supervisor

Result = TypeVar("Result")

# What has ended at the front is known here so much later at most.
ON_ITS_WAY_SECONDS = 0.1
# That TorchServe does not answer is known so much sooner than that it has ended, at most.
ENDED_SECONDS = 2.0


@dataclass(frozen=True)
class Asked:
    """Who wants what: a kind of change to one model, and whether to wait for another that runs."""

    kind: str
    name: str
    user: str
    host: str
    wait: bool = True


class Change:
    """A change that runs. Only one does at a time."""

    def __init__(self, supervisor: Supervisor, asked: Asked, report: Report) -> None:
        self.supervisor = supervisor
        self.name = asked.name
        self._traffic: dict[tuple[str, str], Outcomes] = {}
        self._counted: list[str] = []
        self._report = report
        self._landing = Landing(supervisor.deployment.models)
        self._parts = 0
        self.entry: Entry = {
            "when": now_text(),
            "kind": asked.kind,
            "name": asked.name,
            "user": asked.user,
            "host": asked.host,
            "from": self.described(supervisor.front.default_of(asked.name)),
            "to": None,
            "steps": [],
        }

    def described(self, version: str | None) -> Entry | None:
        """Return a version with its digest, as the journal has it."""
        if version is None:
            return None
        try:
            digest = self.supervisor.store.get(self.name, version).digest
        except StoreError:  # it need not be there, or as published, to be spoken of
            digest = None
        return {"version": version, "digest": digest}

    @property
    def decided(self) -> bool:
        """Whether an interruption would finish it."""
        return self._landing.finished

    def decide(self, aim: Deployment) -> None:
        """From the next step on an interruption finishes the change: all that can fail has proved itself.

        ``aim`` is what is desired then. What is decided stays so.
        """
        if not self._parts and not self.decided:
            self._landing = Landing(aim.models, finished=True)

    def undecide(self, deployment: Deployment) -> None:
        """What was decided could not be done: from now on an interruption leads to ``deployment``."""
        if not self._parts:
            self._landing = Landing(deployment.models)
            self._journal("undo", must=False)

    @contextmanager
    def part(self) -> Iterator[None]:
        """Run a part of a larger change, which alone decides."""
        self._parts += 1
        try:
            yield
        finally:
            self._parts -= 1

    @asynccontextmanager
    async def step(self, name: str, text: str, *, undoing: bool = False) -> AsyncIterator[None]:
        """Journal a step, run it, report it with what it took.

        Raises DeploymentWriteError when it cannot be journalled, ServerEndedError as soon as TorchServe ends. What is
        ``undoing`` is done all the same.
        """
        self._journal(name, must=not undoing)
        self._report(Step(name, text, state="begun"))
        process = self.supervisor.torchserve.process
        began = time.monotonic()
        try:
            async with nullcontext() if undoing else process.needed():
                yield
        except BaseException as error:
            self._ended(name, text, began, failed=True)
            if isinstance(error, TorchServeError) and not undoing:
                await process.refuse_ended(within_seconds=ENDED_SECONDS)
            raise
        self._ended(name, text, began, failed=False)

    def say(self, text: str, *, failed: bool = False) -> None:
        """Report something that is no step."""
        self._report(Step("note", text, state="failed" if failed else "done"))

    def progress(self, text: str) -> None:
        """Report how far the step is that runs."""
        self._report(Step("progress", text, state="begun"))

    async def count(self, name: str) -> None:
        """Count from now on how requests for a model end."""
        if name and name not in self._counted:
            self._counted.append(name)
            self.supervisor.outcomes.begin(name)
            await self.supervisor.front.watch(name)

    def observe(self) -> dict[str, Outcomes]:
        """Take how requests for this model ended since the last look, by version; all of it counts for the change."""
        latest: dict[str, Outcomes] = {}
        for name in self._counted:
            taken = self.supervisor.outcomes.take(name)
            for version, outcomes in taken.items():
                self._traffic[name, version] = self._traffic.get((name, version), Outcomes()) + outcomes
            latest = taken if name == self.name else latest
        return latest

    def seen(self, version: str) -> Outcomes:
        """Return how all requests ended that a version of this model got since the change began."""
        return self._traffic.get((self.name, version), Outcomes())

    async def settle(self) -> str:
        """Desire what an interruption leads to, and return the outcome; what of this cannot be is told."""
        try:
            await self.supervisor.settle(self._landing.of(self.supervisor.deployment))
        except StatehouseError as error:
            self.say(str(error), failed=True)
            if isinstance(error, EditedDeploymentError):
                return OVERRULED
        return self._landing.outcome

    async def close(self, outcome: str, reason: str | None, seconds: float) -> None:
        """Count no more, and write down how it went."""
        for name in self._counted:
            await self.supervisor.front.unwatch(name)
        await asyncio.sleep(ON_ITS_WAY_SECONDS)
        self.observe()
        for name in self._counted:
            self.supervisor.outcomes.end(name)
        if not self.entry["steps"] and outcome == "done":
            return  # nothing was changed
        self.supervisor.change_counts.add(self.name, self.entry["kind"], outcome)
        total = sum(self._traffic.values(), Outcomes())
        self.supervisor.journal.close(
            self.entry
            | {
                "outcome": outcome,
                "reason": reason,
                "serving": self.supervisor.front.default_of(self.name),
                "seconds": round(seconds, 4),
                "requests": total.answered,
                "failed": total.failed,
                "slowest_seconds": total.slowest_seconds,
            }
        )

    def _journal(self, running: str, *, must: bool) -> None:
        try:
            self.supervisor.journal.note(
                self.entry | {"running": running, "lands": self._landing.to_plain()},
                self.supervisor.deployment_as_written,
            )
        except DeploymentWriteError as error:
            if must:
                raise
            self.say(str(error), failed=True)

    def _ended(self, name: str, text: str, began: float, *, failed: bool) -> None:
        seconds = time.monotonic() - began
        self.entry["steps"].append({"name": name, "seconds": round(seconds, 4), "ok": not failed})
        if not failed:
            self._report(Step(name, text, seconds))


async def run_change(
    supervisor: Supervisor, asked: Asked, report: Report, body: Callable[[Change], Awaitable[Result]]
) -> Result:
    """Run one change alone and write down how it went, whatever that was.

    Raises ChangeBusyError when another runs and this one does not wait, EditedDeploymentError when
    deployment.yaml was edited meanwhile, and what ``body`` raises.
    """
    if supervisor.changing.locked():
        running = supervisor.running_change or "a start"
        if not asked.wait:
            raise ChangeBusyError(f"{running} is running: wait for it (leave out --no-wait), or try again.")
        report(Step("wait", f"waiting for {running}", state="begun"))
    async with supervisor.changing:
        if supervisor.stopping:
            raise ChangeError("The server is stopping. Nothing was changed.")
        supervisor.running_change = f"{asked.kind} {asked.name} by {asked.user}"
        supervisor.change_task = asyncio.current_task()
        try:
            if asked.kind not in ("apply", TRIAL):
                refuse_edited(supervisor)
            return await _observed(Change(supervisor, asked, report), body)
        finally:
            supervisor.running_change = supervisor.change_task = None


async def _observed(change: Change, body: Callable[[Change], Awaitable[Result]]) -> Result:
    began = time.monotonic()
    outcome, reason = "failed", None
    try:
        await change.count(change.name)
        result = await body(change)
        outcome = "done"
        return result  # noqa: TRY300 - what follows is for every way out
    except asyncio.CancelledError:
        outcome, reason = await change.settle(), "the server was stopped"
        raise
    except ServerEndedError as error:
        outcome = await change.settle()
        reason = f"{error} The change was {outcome}."
        raise ServerEndedError(reason) from error
    except Exception as error:
        outcome = "rolled back" if isinstance(error, RolledBackError) else "failed"
        reason = str(error) if isinstance(error, StatehouseError) else repr(error)
        raise
    finally:
        try:
            await change.close(outcome, reason, time.monotonic() - began)
        except StatehouseError as error:
            # It has happened all the same; what became of it must not be hidden behind this.
            change.say(str(error), failed=True)


def undo_desired(change: Change, deployment: Deployment) -> None:
    """Desire again what was desired before something that could not be done."""
    change.undecide(deployment)
    if change.supervisor.deployment is not deployment:
        change.supervisor.desire(deployment)


def refuse_edited(supervisor: Supervisor) -> None:
    """Refuse a change that would write over somebody's edit of deployment.yaml."""
    if supervisor.deployment_was_edited():
        raise EditedDeploymentError(
            f"{supervisor.deployment_file} was edited and is not applied: run `statehouse apply`, "
            "or undo the edit. Nothing was changed."
        )
