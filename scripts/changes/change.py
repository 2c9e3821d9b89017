"""One change to what is served: its steps journalled before they run, its traffic counted, its end written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from copy import copy
from dataclasses import dataclass

from statehouse.models.errors import StatehouseError
from statehouse.scripts.deployment.edits import holds
from statehouse.scripts.deployment.file import Deployment, VersionSettings
from statehouse.scripts.deployment.interrupted import OVERRULED, Landing
from statehouse.scripts.deployment.journal import Entry, now_text
from statehouse.scripts.errors import (
    DeploymentWriteError,
    EditedDeploymentError,
    StoreError,
    TorchServeError,
)
from statehouse.scripts.progress import Report, Step
from statehouse.scripts.store.manifest import VersionManifest
from statehouse.scripts.store.names import did_you_mean
from statehouse.scripts.supervisor.parts import ServerParts
from statehouse.scripts.supervisor.running_change import RunningChange, RunningStep
from statehouse.scripts.traffic.outcomes import Outcomes

# What has ended at the front is known here so much later at most.
ON_ITS_WAY_SECONDS = 0.1
# That TorchServe does not answer is known so much sooner than that it has ended, at most.
ENDED_SECONDS = 2.0


@dataclass
class Decision:
    """What a change has decided so far, all of it: whom it is about, where it leads, and where an interruption does."""

    name: str
    landing: Landing
    to: Entry | None = None
    plan: list[str] | None = None

    def to_plain(self) -> Entry:
        """Return it as the journal has it."""
        return {"to": self.to} | ({} if self.plan is None else {"plan": self.plan})


class Change:
    """A change that runs, or the part of one that is about one model. Only one change runs at a time."""

    def __init__(self, parts: ServerParts, running: RunningChange, report: Report) -> None:
        asked = running.asked
        self.running = running
        self.name = asked.name
        self.desired = parts.desired
        self.fleet = parts.fleet
        self.front = parts.front
        self.store = parts.store
        self.torchserve = parts.torchserve
        self.drain = parts.drain
        self._parts = parts
        self._report = report
        self._traffic: dict[tuple[str, str], Outcomes] = {}
        self._counted: list[str] = []
        self._is_part = False
        self._decision = Decision(asked.name, Landing.at(parts.desired.deployment))
        self.entry: Entry = {
            "when": now_text(),
            "kind": asked.kind,
            "name": asked.name,
            "user": asked.user,
            "host": asked.host,
            "from": self.described(parts.front.default_of(asked.name)),
            "to": None,
            "steps": [],
        }

    def for_model(self, name: str) -> Change:
        """Return the part of this change that is about one model. It shares all else; the whole alone decides."""
        part = copy(self)
        part.name = self._decision.name = name
        part._is_part = True
        return part

    def described(self, version: str | None) -> Entry | None:
        """Return a version with its digest, as the journal has it."""
        if version is None:
            return None
        try:
            digest = self.store.get(self.name, version).digest
        except StoreError:  # it need not be there, or as published, to be spoken of
            digest = None
        return {"version": version, "digest": digest}

    async def manifest_of(self, version: str) -> VersionManifest | None:
        """Return what is known of a version, here or else in the store; None leaves it to its loading to say why."""
        return await asyncio.to_thread(
            self._manifest_of, version
        )  # a store that is away does not answer soon

    def _manifest_of(self, version: str) -> VersionManifest | None:
        try:
            if self.store.has(self.name, version):  # the store may be away
                return self.store.get(self.name, version).manifest
            return self.store.find(self.name, version)
        except StoreError:
            return None

    async def refuse_unknown_code(self, version: str) -> None:
        """Raise UnknownCodeError where the deployment does not have the code that a version was proved with."""
        manifest = await self.manifest_of(version)
        if manifest is not None and manifest.architecture_code is not None:
            what = f"{self.name} {version}"
            await asyncio.to_thread(self._parts.snapshots.find, manifest.architecture_code, what)

    # -- what is decided

    def leads_to(self, version: str, settings: VersionSettings | None = None) -> None:
        """Write down the version that the change is for, and the settings where it is for those."""
        if self.running.undoing:  # what it was for stays what it was for
            return
        told = self.described(version) or {}
        if settings is not None:
            told["settings"] = settings.model_dump(mode="json", exclude_none=True)
        self._decision.to = told

    def plans(self, texts: list[str]) -> None:
        """Write down all that the change is going to do."""
        self._decision.plan = texts

    @property
    def decided(self) -> bool:
        """Whether an interruption would finish it."""
        return self._decision.landing.finished

    def decide(self, aim: Deployment) -> None:
        """From the next step on an interruption finishes the change: all that can fail has proved itself.

        ``aim`` is what is desired then. What is decided stays so.
        """
        if not self._is_part and not self.decided:
            self._decision.landing = Landing.at(aim, finished=True)

    def undecide(self, deployment: Deployment) -> None:
        """What was decided could not be done: from now on an interruption leads to ``deployment``."""
        if not self._is_part:
            self._decision.landing = Landing.at(deployment)
            self._journal("undo", must=False)

    # -- what is done

    @asynccontextmanager
    async def step(
        self,
        name: str,
        text: str,
        *,
        undoing: bool = False,
        whole: bool = False,
        seconds: float | None = None,
        at_most: bool = False,
        share: Callable[[], float] | None = None,
    ) -> AsyncIterator[None]:
        """Journal a step, run it, report it with what it took.

        Raises DeploymentWriteError when it cannot be journalled, ServerEndedError as soon as TorchServe ends,
        ChangeAbortedError as soon as somebody aborts the change: within the step too, unless it is a ``whole`` one.
        What is ``undoing`` is done all the same. ``seconds``, ``at_most`` and ``share`` are what others are told of it.
        """
        if not undoing:
            self.running.refuse_aborted()
        self._journal(name, must=not undoing)
        self._report(Step(name, text, state="begun"))
        self.running.begin(RunningStep(name, seconds, at_most, share))
        process = self.torchserve.process
        began = time.monotonic()
        try:
            async with nullcontext() if undoing else process.needed():
                with nullcontext() if undoing or whole else self.running.cuttable():
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
        self.running.progress(text)
        self._report(Step("progress", text, state="begun"))

    async def count(self, name: str) -> None:
        """Count from now on how requests for a model end."""
        if name and name not in self._counted:
            self._counted.append(name)
            self._parts.outcomes.begin(name)
            await self.front.watch(name)

    def observe(self) -> dict[str, Outcomes]:
        """Take how requests for this model ended since the last look, by version; all of it counts for the change."""
        latest: dict[str, Outcomes] = {}
        for name in self._counted:
            taken = self._parts.outcomes.take(name)
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
            await self._land()
        except StatehouseError as error:
            self.say(str(error), failed=True)
            if isinstance(error, EditedDeploymentError):
                return OVERRULED
        return self._decision.landing.outcome

    async def _land(self) -> None:
        """Make the server what it is to be when TorchServe has ended, or the server stops.

        Nothing is loaded now, or will be in a moment: a start loads what is desired, and what is not is listed no
        more. Raises what ``insist_on`` raises, once all is as it is to be but the file.
        """
        before = self.desired.deployment
        aim = self._decision.landing.of(before)
        try:
            self.desired.insist_on(aim)
        finally:
            if not self._parts.turn.stopping:
                await self._route_as_desired(before)

    async def _route_as_desired(self, before: Deployment) -> None:
        desired = self.desired.deployment
        for name in before.models.keys() | desired.models.keys():
            model = desired.models.get(name)
            await self.front.remove_canary(name)
            if model is None:
                await self.front.remove_default(name)
            else:
                await self.front.set_default(name, model.default)
        for loaded in list(self.fleet.versions.values()):
            if not holds(desired, loaded.name, loaded.version):
                retired = holds(before, loaded.name, loaded.version)
                await self.fleet.drop(loaded, retired=retired)

    async def close(self, outcome: str, reason: str | None, seconds: float) -> None:
        """Count no more, and write down how it went."""
        for name in self._counted:
            await self.front.unwatch(name)
        await asyncio.sleep(ON_ITS_WAY_SECONDS)
        self.observe()
        for name in self._counted:
            self._parts.outcomes.end(name)
        if not self.entry["steps"] and outcome == "done":
            return  # nothing was changed
        self._parts.change_counts.add(self._decision.name, self.entry["kind"], outcome)
        total = sum(self._traffic.values(), Outcomes())
        self._parts.journal.close(
            self.entry
            | self._decision.to_plain()
            | {
                "outcome": outcome,
                "reason": reason,
                "serving": self.front.default_of(self._decision.name),
                "seconds": round(seconds, 4),
                "requests": total.answered,
                "failed": total.failed,
                "slowest_seconds": total.slowest_seconds,
            }
        )

    def _journal(self, running: str, *, must: bool) -> None:
        try:
            self._parts.journal.note(
                self.entry
                | self._decision.to_plain()
                | {"running": running, "lands": self._decision.landing.to_plain()},
                self.desired.content_as_written,
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


def near_name(change: Change) -> str:
    """Return which loaded model was perhaps meant, where there is none of this name."""
    return did_you_mean(change.name, (name for name, _ in change.fleet.versions))


def undo_desired(change: Change, deployment: Deployment) -> None:
    """Desire again what was desired before something that could not be done."""
    change.undecide(deployment)
    if change.desired.deployment is not deployment:
        change.desired.change_to(deployment)
