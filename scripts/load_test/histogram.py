"""Durations in an HDR histogram: microseconds to an hour, to three digits; the longest one exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from numpy.typing import NDArray

HIGHEST_MICROSECONDS = 3_600_000_000
SIGNIFICANT_DIGITS = 3
_EXACT_BITS = 11  # HDR keeps values below 2048 as they are, of larger ones so many leading bits
_PERCENTILES = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True)
class Latency:
    """Percentiles of ``count`` durations, in seconds; None where there was not one."""

    count: int
    p50_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None
    p99_9_seconds: float | None
    max_seconds: float | None

    def to_plain(self) -> dict[str, Any]:
        """Plain data, to a tenth of a microsecond."""
        return {key: round(value, 7) if value is not None else None for key, value in vars(self).items()}


class DurationHistogram:
    """The distribution of durations, seconds."""

    def __init__(self, seconds: NDArray[np.floating[Any]]) -> None:
        self._counts: Any = HdrHistogram(1, HIGHEST_MICROSECONDS, SIGNIFICANT_DIGITS)
        self._longest_seconds = float(seconds.max()) if len(seconds) else 0.0
        for microseconds, count in _bucketed(seconds):
            self._counts.record_value(microseconds, count)

    @property
    def count(self) -> int:
        """How many durations there are."""
        return int(self._counts.get_total_count())

    def percentiles_seconds(self, percentiles: Sequence[float]) -> list[float]:
        """Return the durations that so many percent do not exceed; nothing of nothing."""
        if not self.count:
            return []
        return [self._percentile_seconds(each) for each in percentiles]

    def _percentile_seconds(self, percentile: float) -> float:
        # HdrHistogram rounds to the nearest rank; what a share does not exceed is at the next one.
        rank = math.ceil(percentile / 100 * self.count - 1e-9)
        microseconds: int = self._counts.get_value_at_percentile(100 * rank / self.count)
        # A bucket's upper end may lie beyond the largest value in it.
        return min(microseconds / 1e6, self._longest_seconds)

    def encoded(self) -> str:
        """Return it as HdrHistogram's own readers take it (V2, compressed, base64); microseconds."""
        return str(self._counts.encode().decode("ascii"))

    def summary(self) -> Latency:
        """Return what people look at first."""
        if not self.count:
            return Latency(0, None, None, None, None, None)
        p50, p90, p99, p99_9 = self.percentiles_seconds(_PERCENTILES)
        return Latency(self.count, p50, p90, p99, p99_9, self._longest_seconds)


def latency_of(seconds: NDArray[np.floating[Any]]) -> Latency:
    """Return the summary of durations."""
    return DurationHistogram(seconds).summary()


def _bucketed(seconds: NDArray[np.floating[Any]]) -> list[tuple[int, int]]:
    """Return values and how many of each, those that HDR does not tell apart taken together: it takes one by one."""
    microseconds = np.clip(seconds * 1e6, 0, HIGHEST_MICROSECONDS).astype(np.int64)
    _, bits = np.frexp(microseconds.astype(np.float64))
    shifts = np.maximum(bits.astype(np.int64) - _EXACT_BITS, 0)
    values, counts = np.unique((microseconds >> shifts) << shifts, return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))
