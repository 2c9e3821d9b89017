"""What `statehouse tune` found: all candidates, the choice, and whether a second run bore it out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenLoop
from statehouse.scripts.tuning.choice import MIN_GAIN, Goal, Measured


@dataclass(frozen=True)
class SecondRun:
    """The present settings and the chosen ones, measured in turn."""

    present: Measured
    chosen: Measured

    def gain(self, goal: Goal) -> float:
        """Return how many times better the chosen ones were, the median over the rounds."""
        pairs = zip(self.present.rounds, self.chosen.rounds, strict=True)
        return statistics.median(_ratio(goal.score(chosen), goal.score(present)) for present, chosen in pairs)

    def confirms(self, goal: Goal) -> bool:
        """Whether the chosen ones are worth a change: better by MIN_GAIN or, alone of the two, within the limit."""
        limit_seconds = goal.p99_limit_seconds
        if limit_seconds is None:
            return self.gain(goal) >= MIN_GAIN
        alone = not goal.is_within(self.present.figures, limit_seconds)
        return goal.is_within(self.chosen.figures, limit_seconds) and (alone or self.gain(goal) >= MIN_GAIN)


@dataclass(frozen=True)
class TuneResult:
    """What was found, and what became of it. ``chosen`` is None when nothing is within the limit."""

    name: str
    version: str
    goal: Goal
    loads: tuple[ClosedLoop | OpenLoop, ...]
    found: tuple[Measured, ...]  # the present settings first
    chosen: Measured | None
    second_run: SecondRun | None  # only where the first one promises a gain
    written: bool
    bottleneck: str | None

    @property
    def present(self) -> Measured:
        """The settings that were there before."""
        return self.found[0]

    @property
    def first_gain(self) -> float:
        """How many times better the chosen ones were in the sweep."""
        if self.chosen is None:
            return 0.0
        return _ratio(self.goal.score(self.chosen.figures), self.goal.score(self.present.figures))

    @property
    def limit_seconds(self) -> float:
        """The p99 that candidates were held to."""
        return self.goal.limit_seconds(self.found)

    @property
    def confirmed(self) -> bool:
        """Whether the second run bore the first one out."""
        return self.second_run is not None and self.second_run.confirms(self.goal)


def _ratio(value: float, other: float) -> float:
    return value / other if other else math.inf if value else 0.0


def plain_result(result: TuneResult) -> dict[str, Any]:
    """Return what `tune --json` prints."""
    second = result.second_run
    return {
        "name": result.name,
        "version": result.version,
        "loads": [vars(load) for load in result.loads],
        "p99_limit_seconds": _finite(result.limit_seconds),
        "candidates": [_plain(result, each) for each in result.found],
        "present": _settings(result.present),
        "chosen": _settings(result.chosen) if result.chosen else None,
        "second_run": second
        and {
            "present": _rounds(second.present),
            "chosen": _rounds(second.chosen),
            "gain": _finite(second.gain(result.goal)),
            "confirmed": result.confirmed,
        },
        "written": result.written,
        "generator_bottleneck": result.bottleneck,
    }


def _plain(result: TuneResult, measured: Measured) -> dict[str, Any]:
    within = result.goal.is_within(measured.figures, result.limit_seconds)
    return {
        "settings": _settings(measured),
        "figures": [figures.to_plain() for figures in measured.figures],
        "rounds": len(measured.rounds),
        "within_limit": within,
        "problem": measured.problem,
    }


def _settings(measured: Measured) -> dict[str, Any]:
    return measured.settings.model_dump(mode="json", exclude_none=True)


def _rounds(measured: Measured) -> Sequence[Sequence[dict[str, Any]]]:
    return [[figures.to_plain() for figures in each] for each in measured.rounds]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
