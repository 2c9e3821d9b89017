"""A load cut into slices of time: how many requests ended in each and how, and how long they took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from statehouse.scripts.charts.svg import round_up
from statehouse.scripts.load_test.records import UNSENT, Floats, Records

MOST_SLICES = 120
SHORTEST_SLICE_SECONDS = 0.05
BUCKETS_PER_DECADE = 8
SHORTEST_SECONDS = 1e-5


@dataclass(frozen=True)
class Series:
    """What is counted per slice; ``label`` is a version, or a kind of failure."""

    label: str
    per_slice: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Over all slices."""
        return int(self.per_slice.sum())


@dataclass(frozen=True)
class HeatMap:
    """Answers by slice of their due time (rows) and bucket of their latency (columns), ``edges_seconds`` around it."""

    counts: NDArray[np.int64]
    edges_seconds: Floats


@dataclass(frozen=True)
class Timeline:
    """The slices of one load, each ``slice_seconds`` long, from 0 to ``seconds``."""

    slice_seconds: float
    seconds: float
    answers: tuple[Series, ...]  # 2xx, by version, counted when they came
    failures: tuple[Series, ...]  # by kind, counted when they ended
    heat: HeatMap | None
    p50_seconds: Floats  # of what was due in each slice; NaN where nothing was answered
    p99_seconds: Floats

    @property
    def count(self) -> int:
        """How many slices there are."""
        return len(self.p50_seconds)


def timeline_of(records: Records, seconds: float) -> Timeline:
    """Return a load of so many seconds in slices of a round length, at most `MOST_SLICES`."""
    width = max(round_up(seconds / MOST_SLICES), SHORTEST_SLICE_SECONDS)
    count = max(math.ceil(seconds / width - 1e-9), 1)
    ended = np.clip((records.ended / width).astype(np.int64), 0, count - 1)
    due = np.clip((records.due / width).astype(np.int64), 0, count - 1)
    good = records.good
    answers = [
        Series(
            version or "(none named)", np.bincount(ended[good & records.of_version(version)], minlength=count)
        )
        for version in records.versions()
    ]
    p50, p99 = _percentiles(records, due, count)
    return Timeline(
        width,
        width * count,
        tuple(series for series in answers if series.total),
        tuple(_failures(records, ended, count)),
        _heat(records, due, count),
        p50,
        p99,
    )


def failure_label(status: int | None, error: str | None) -> str:
    """Return a kind of failure for people."""
    if status is not None:
        return f"status {status}"
    return "never sent" if error == UNSENT else str(error).replace("_", " ")


def _failures(records: Records, ended: NDArray[np.int64], count: int) -> list[Series]:
    by_label: dict[str, list[bool]] = {}
    for index, outcome in enumerate(records.outcomes):
        if not outcome.is_good:
            label = failure_label(outcome.status, outcome.error)
            by_label.setdefault(label, [False] * len(records.outcomes))[index] = True
    found = [
        Series(label, np.bincount(ended[records.where(wanted)], minlength=count))
        for label, wanted in by_label.items()
    ]
    return sorted(found, key=lambda series: -series.total)


def _percentiles(records: Records, due: NDArray[np.int64], count: int) -> tuple[Floats, Floats]:
    found = np.full((2, count), np.nan)
    answered = records.answered
    slices, seconds = due[answered], records.seconds[answered]
    order = np.argsort(slices, kind="stable")
    bounds = np.searchsorted(slices[order], np.arange(count + 1))
    for index in range(count):
        inside = seconds[order[bounds[index] : bounds[index + 1]]]
        if len(inside):
            found[:, index] = np.quantile(inside, (0.5, 0.99), method="inverted_cdf")
    return found[0], found[1]


def _heat(records: Records, due: NDArray[np.int64], count: int) -> HeatMap | None:
    answered = records.answered
    seconds = np.maximum(records.seconds[answered], SHORTEST_SECONDS)
    if not len(seconds):
        return None
    lowest = math.floor(math.log10(seconds.min()) * BUCKETS_PER_DECADE)
    highest = max(math.floor(math.log10(seconds.max()) * BUCKETS_PER_DECADE) + 1, lowest + BUCKETS_PER_DECADE)
    bucket = np.floor(np.log10(seconds) * BUCKETS_PER_DECADE).astype(np.int64) - lowest
    buckets = highest - lowest
    flat = np.bincount(due[answered] * buckets + np.clip(bucket, 0, buckets - 1), minlength=count * buckets)
    edges = 10 ** (np.arange(lowest, highest + 1) / BUCKETS_PER_DECADE)
    return HeatMap(flat.reshape(count, buckets), edges)


def latency_points(seconds: Floats, percentiles: Sequence[float]) -> list[float]:
    """Return exact percentiles of durations; nothing of nothing."""
    if not len(seconds):
        return []
    found: list[float] = np.quantile(seconds, np.array(percentiles) / 100, method="inverted_cdf").tolist()
    return found
