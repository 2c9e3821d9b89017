"""The last minutes of traffic, kept by the server: whoever asks, and whenever, sees the same figures.

What is counted is looked at every STEP_SECONDS, and kept as what happened between a look and the next. The time
between them is measured, by a clock that nobody sets: a late look makes a longer interval, never a higher rate.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from statehouse.scripts.traffic.figures import Figures, figures_of
from statehouse.scripts.traffic.problem_log import Problems
from statehouse.scripts.traffic.version_counts import (
    Counted,
    Counts,
    Key,
    VersionCounts,
    counts_by_version,
    growth,
    total_of,
)
from statehouse.scripts.traffic.worker_metrics import MergedWorkerMetrics

STEP_SECONDS = 2.0
KEPT_SECONDS = 300.0
# Where there are so many workers that a look takes long, looks are rarer: of a core they take this part at most.
MOST_BUSY = 0.05


class Reading(NamedTuple):
    """One look: all that was counted of each version since it was loaded, and the rows in its workers now."""

    at_seconds: float
    counts: dict[Key, Counts]
    rows_in_flight: dict[Key, int]


def look_at(metrics: MergedWorkerMetrics, problems: Problems, versions: Iterable[Key]) -> Reading:
    """Look at what workers and front have counted; for a thread: reading files takes milliseconds per version."""
    began = time.monotonic()
    counted = counts_by_version(metrics.collect())
    at_seconds = (began + time.monotonic()) / 2
    counts, rows = {}, {}
    for key in versions:
        of_workers = counted.get(key, VersionCounts())
        of_the_front = {
            Counted("of_the_front", status): float(count)
            for status, count in problems.of_the_front(*key).items()
        }
        counts[key] = of_workers.counts | of_the_front
        rows[key] = of_workers.rows_in_flight
    return Reading(at_seconds, counts, rows)


class Interval(NamedTuple):
    """What happened between two looks, in versions where anything did."""

    at_seconds: float  # its end
    seconds: float
    happened: dict[Key | None, Counts]  # None: in all of them together
    figures: dict[Key, Figures]

    @property
    def began_seconds(self) -> float:
        """When it began."""
        return self.at_seconds - self.seconds


class RecentTraffic:
    """Looks again and again; keeps KEPT_SECONDS."""

    def __init__(self, read: Callable[[], Reading], began_seconds: float) -> None:
        self._read = read
        self._began_seconds = began_seconds
        self._version_began: dict[Key, float] = {}
        self._all: Counts = {}
        self.latest = Reading(began_seconds, {}, {})
        self.intervals: deque[Interval] = deque()
        self.problem: str | None = None  # why the last look came to nothing
        # Everybody who asks between two looks is told the same: it is worked out once.
        self._figures: dict[tuple[Key | None, float | None], Figures] = {}

    async def keep(self) -> None:
        """Look every STEP_SECONDS until cancelled; a look that fails is made up for by the next."""
        took_seconds = 0.0
        while True:
            await asyncio.sleep(max(STEP_SECONDS, took_seconds / MOST_BUSY))
            try:
                reading, took_seconds = await asyncio.to_thread(self._timed)
                self.take(reading)
                self.problem = None
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed, and readers are told
                self.problem = f"{type(error).__name__}: {error}"

    def _timed(self) -> tuple[Reading, float]:
        began = time.thread_time()
        return self._read(), time.thread_time() - began

    def take(self, reading: Reading) -> None:
        """Keep what happened since the last look."""
        seconds = reading.at_seconds - self.latest.at_seconds
        if seconds <= 0:
            return
        happened: dict[Key | None, Counts] = {}
        for key, counts in reading.counts.items():
            before = self.latest.counts.get(key)
            if before is None:
                self._version_began[key] = self.latest.at_seconds
            if grown := growth(before or {}, counts):
                happened[key] = grown
        self._version_began = {
            key: began for key, began in self._version_began.items() if key in reading.counts
        }
        figures = {key: figures_of(counts, seconds) for key, counts in happened.items() if key is not None}
        happened[None] = total_of(happened.values())
        self._all = total_of([self._all, happened[None]])
        self._figures.clear()
        self.intervals.append(Interval(reading.at_seconds, seconds, happened, figures))
        while self.intervals[0].at_seconds <= reading.at_seconds - KEPT_SECONDS:
            self.intervals.popleft()
        self.latest = reading

    @property
    def age_seconds(self) -> float:
        """How long ago the last look was."""
        return time.monotonic() - self.latest.at_seconds

    def figures(self, key: Key | None, window_seconds: float | None) -> Figures:
        """Return the figures of a version, or of all, in the last ``window_seconds``, or since it was loaded.

        All: of those as well that are gone by now, since the server started.
        """
        known = self._figures.get((key, window_seconds))
        if known is None:
            known = self._figures[key, window_seconds] = self._worked_out(key, window_seconds)
        return known

    def _worked_out(self, key: Key | None, window_seconds: float | None) -> Figures:
        now = self.latest.at_seconds
        began = self._began_seconds if key is None else self._version_began.get(key, now)
        if window_seconds is None:
            return figures_of(self._all if key is None else self.latest.counts.get(key, {}), now - began)
        # The interval that the window begins in counts if most of it lies inside.
        within = [
            each
            for each in self.intervals
            if (each.at_seconds + each.began_seconds) / 2 > now - window_seconds or each is self.intervals[-1]
        ]
        mine = [(each, each.happened.get(key, {})) for each in within]
        # What was loaded meanwhile has its own, shorter time; unless it was there before, too.
        start = min((each.began_seconds for each, counts in mine if counts), default=now)
        start = min(start, max(began, within[0].began_seconds)) if within else now
        return figures_of(total_of(counts for _, counts in mine), now - start)

    def course(self, key: Key) -> list[Figures | None] | None:
        """Return the figures of each interval that is kept, None where there was no such version; None: no request."""
        if not any(key in each.figures for each in self.intervals):
            return None
        began = self._version_began.get(key, self.latest.at_seconds)
        return [
            each.figures.get(key, figures_of({}, each.seconds) if each.at_seconds > began else None)
            for each in self.intervals
        ]
