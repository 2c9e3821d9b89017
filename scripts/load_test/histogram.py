"""Durations in an HDR histogram: microseconds to an hour, to three digits; the longest one exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

HIGHEST_MICROSECONDS = 3_600_000_000
SIGNIFICANT_DIGITS = 3
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
    """Counts durations."""

    def __init__(self) -> None:
        self._counts: Any = HdrHistogram(1, HIGHEST_MICROSECONDS, SIGNIFICANT_DIGITS)
        self._longest_seconds = 0.0

    def record(self, seconds: float) -> None:
        """Count one."""
        if seconds > self._longest_seconds:
            self._longest_seconds = seconds
        self._counts.record_value(min(max(int(seconds * 1e6), 0), HIGHEST_MICROSECONDS))

    def add(self, other: DurationHistogram) -> None:
        """Count all that ``other`` has counted."""
        self._counts.add(other._counts)
        self._longest_seconds = max(self._longest_seconds, other._longest_seconds)

    def summary(self) -> Latency:
        """Return what it has counted so far."""
        count = self._counts.get_total_count()
        if not count:
            return Latency(0, None, None, None, None, None)
        found = self._counts.get_percentile_to_value_dict(_PERCENTILES)
        # A bucket's upper end may lie beyond the largest value in it.
        p50, p90, p99, p99_9 = (min(found[p] / 1e6, self._longest_seconds) for p in _PERCENTILES)
        return Latency(count, p50, p90, p99, p99_9, self._longest_seconds)
