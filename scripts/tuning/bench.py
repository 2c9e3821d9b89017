"""Settings tried on the running server: put in place without losing a request, measured, put back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.deployment.journal import TRIAL
from statehouse.scripts.errors import CommandError
from statehouse.scripts.load_test import ClosedLoop, LoadPlan, LoadResult, OpenLoop, run
from statehouse.scripts.progress import Report
from statehouse.scripts.store.names import did_you_mean
from statehouse.scripts.tuning.choice import Figures, Goal, Measured, is_stable

WARM_UP_SHARE = 0.25  # of a measurement's duration
FIRST_WARM_UP_SECONDS = 5.0  # a server that has just started still compiles what it runs often
WARM_UP_CONNECTIONS = 8  # of a load whose own rate says nothing about connections

Say = Callable[[str], None]
Round = tuple[Figures, ...]


class Bench:
    """One version of a running server, and the loads that are put on it."""

    def __init__(
        self,
        client: ControlClient,
        name: str,
        version: str,
        plans: Sequence[LoadPlan],
        *,
        goal: Goal,
        most_rounds: int,
        on_step: Report,
        say: Say,
    ) -> None:
        self.bottleneck: str | None = None  # why the generator may be what was measured
        self._client = client
        self._name, self._version = name, version
        self._plans = plans
        self._goal = goal
        self._most_rounds = most_rounds
        self._on_step = on_step
        self._say = say
        self._in_place: VersionSettings | None = None
        self._warm = False

    def measure(self, settings: VersionSettings) -> Measured:
        """Measure settings until their score is stable, or the rounds are used up."""
        try:
            self.put(settings)
        except CommandError as error:  # not enough memory, say: others may fit
            return Measured(settings, problem=str(error))
        rounds: list[Round] = []
        while len(rounds) < self._most_rounds:
            self._say(f"{told(settings)}: round {len(rounds) + 1} of {self._most_rounds} at most")
            rounds.append(self.measure_round())
            if is_stable([self._goal.score(each) for each in rounds]):
                break
        return Measured(settings, tuple(rounds))

    def compare(
        self, present: VersionSettings, chosen: VersionSettings, rounds: int
    ) -> tuple[Measured, Measured]:
        """Measure two settings in turn, each first in every other round, so that neither has the better time."""
        found: dict[VersionSettings, list[Round]] = {present: [], chosen: []}
        for number in range(rounds):
            for settings in (present, chosen) if number % 2 == 0 else (chosen, present):
                self._say(f"second run, round {number + 1} of {rounds}: {told(settings)}")
                self.put(settings)
                found[settings].append(self.measure_round())
        return Measured(present, tuple(found[present])), Measured(chosen, tuple(found[chosen]))

    def put(self, settings: VersionSettings) -> None:
        """Run the version with these settings, as a trial, and warm it up; CommandError when that cannot be."""
        if settings == self._in_place:
            return
        self._say(f"{told(settings)}: loading")
        self._in_place = None
        self._change(TRIAL, settings)
        for plan in self._plans:
            seconds = WARM_UP_SHARE * plan.arrivals.duration_seconds
            self._run(_warm_up(plan, seconds if self._warm else FIRST_WARM_UP_SECONDS / len(self._plans)))
        self._in_place, self._warm = settings, True

    def measure_round(self) -> Round:
        """Run every load once; CommandError when somebody changed the settings meanwhile."""
        figures = tuple(_figures(self._run(plan)) for plan in self._plans)
        running = VersionSettings.model_validate(self.row()["settings"])
        if running != self._in_place:
            raise CommandError(
                f"{self._name} {self._version} was changed while it was measured: what was measured says "
                "nothing. Tune it again when nobody else changes it."
            )
        return figures

    def keep(self, settings: VersionSettings) -> None:
        """Write settings into the deployment."""
        self._change("tune", settings)

    def put_back(self) -> None:
        """Run the version with the settings of the deployment; nothing happens when it does."""
        self._change(TRIAL, None)

    def row(self) -> dict[str, Any]:
        """Return what `statehouse status` has of the version; CommandError when it is not loaded any more."""
        return default_row(self._client.status(), self._name, self._version)

    def _change(self, kind: str, settings: VersionSettings | None) -> None:
        plain = settings.model_dump(mode="json", exclude_none=True) if settings else None
        self._client.change(kind, self._on_step, name=self._name, version=self._version, settings=plain)

    def _run(self, plan: LoadPlan) -> LoadResult:
        result = run(plan)
        if result.interrupted:  # Ctrl-C ends a load with what it found so far
            raise KeyboardInterrupt
        self.bottleneck = self.bottleneck or result.generator.bottleneck
        return result


def default_row(status: dict[str, Any], name: str, version: str | None = None) -> dict[str, Any]:
    """Return a version of ``name``, the default unless one is named; CommandError when it is not served."""
    for row in status["models"]:
        if row["name"] == name and (row["version"] == version if version else row["default"]):
            return dict(row)
    served = ", ".join(sorted({row["name"] for row in status["models"]})) or "nothing"
    raise CommandError(
        f"{name}{f' {version}' if version else ''} is not served; served is: {served}."
        f"{did_you_mean(name, (row['name'] for row in status['models']))} See `statehouse status`."
    )


def told(settings: VersionSettings) -> str:
    """Return settings as people read them: ``batches up to 8, 2 workers × 1 thread, freeze``."""
    batches, workers = f"batches up to {settings.batch_size}", settings.workers_told
    return ", ".join([batches, f"{workers} × {settings.threads_told}", *settings.optimizations])


def _warm_up(plan: LoadPlan, seconds: float) -> LoadPlan:
    arrivals = plan.arrivals
    connections = WARM_UP_CONNECTIONS if isinstance(arrivals, OpenLoop) else arrivals.connections
    return replace(plan, arrivals=ClosedLoop(connections, seconds))


def _figures(result: LoadResult) -> Figures:
    latency = result.latency
    return Figures(
        result.answers_per_second,
        math.inf if latency.p50_seconds is None else latency.p50_seconds,
        math.inf if latency.p99_seconds is None else latency.p99_seconds,
        result.failed,
    )
