"""The phases of a batch, and who may watch them: the worker's metrics, a benchmark, nobody."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Literal, get_args

Phase = Literal["decode", "preprocess", "inference", "postprocess"]
StartStep = Literal["load", "warm_up", "verify"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class Observer:
    """Watches one batch go through the handler; this one sees and records nothing."""

    def phase(self, name: Phase) -> AbstractContextManager[object]:
        """What is inside, and what led to it, counts as this phase; entered again, it adds up."""
        return nullcontext()

    def rows(self, count: int) -> None:
        """The batch turned out to have so many rows."""


class Laps:
    """Divides a stretch of time among names without a gap, so that the parts add up to the whole."""

    __slots__ = ("_last", "seconds")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = 0.0

    def begin(self) -> float:
        """Start anew; returns the time."""
        self.seconds.clear()
        self._last = time.perf_counter()
        return self._last

    def end(self, name: str) -> float:
        """What has passed since the last end, or the begin, was `name`; returns the time."""
        now = time.perf_counter()
        self.seconds[name] += now - self._last
        self._last = now
        return now


class _Lap:
    __slots__ = ("_laps", "_name")

    def __init__(self, laps: Laps, name: str) -> None:
        self._laps, self._name = laps, name

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._laps.end(self._name)
