"""What is best: the figures of one way to run a version, when they are stable, and which way is chosen."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from statehouse.scripts.deployment.file import VersionSettings

MIN_GAIN = 1.05  # settings that gain less are not worth a change
STABLE_DEVIATION = 0.025  # of the median; so they lie within 5 % of each other
LEVEL = 0.97  # scores from here to the best count as equal to it
KEEPS_UP = 0.98  # of a fixed rate
RELATIVE_LIMIT = 2.0  # without a limit: p99 is at most so many times the lowest


@dataclass(frozen=True)
class Figures:
    """What one load found; latencies are infinite when nothing was answered."""

    requests_per_second: float
    p50_seconds: float
    p99_seconds: float
    failed: int = 0

    def to_plain(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {key: value if math.isfinite(value) else None for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Measured:
    """Settings with what each round found, one `Figures` per load; ``problem``: why they could not run."""

    settings: VersionSettings
    rounds: tuple[tuple[Figures, ...], ...] = ()
    problem: str | None = None

    @property
    def figures(self) -> tuple[Figures, ...]:
        """The medians over the rounds, one per load."""
        return tuple(median_of(load) for load in zip(*self.rounds, strict=True))


@dataclass(frozen=True)
class Goal:
    """The most requests per second with p99 within a limit; at a fixed rate: the shortest p99.

    Over several loads throughput is their geometric mean. Every load must be within a limit that is given; without
    one, the geometric mean of p99 is held within twice the lowest found.
    """

    p99_limit_seconds: float | None = None
    rate_per_second: float | None = None

    def score(self, figures: Sequence[Figures]) -> float:
        """Return how good they are, more is better; 0 for those that lost requests or do not keep up."""
        if not figures or any(each.failed for each in figures):
            return 0.0
        if self.rate_per_second is None:
            return _geometric_mean([each.requests_per_second for each in figures])
        behind = any(each.requests_per_second < KEEPS_UP * self.rate_per_second for each in figures)
        return 0.0 if behind else 1 / self.p99_seconds(figures)

    def p99_seconds(self, figures: Sequence[Figures]) -> float:
        """Return the p99 that is held against the limit."""
        latencies = [each.p99_seconds for each in figures]
        return _geometric_mean(latencies) if self.p99_limit_seconds is None else max(latencies)

    def limit_seconds(self, tried: Iterable[Measured]) -> float:
        """Return the limit that is given, else what the candidates allow."""
        if self.p99_limit_seconds is not None:
            return self.p99_limit_seconds
        sound = [each.figures for each in tried if self.score(each.figures)]
        return RELATIVE_LIMIT * min(map(self.p99_seconds, sound), default=math.inf)

    def is_within(self, figures: Sequence[Figures], limit_seconds: float) -> bool:
        """Whether everything was answered, fast enough."""
        return self.score(figures) > 0 and self.p99_seconds(figures) <= limit_seconds

    def choose(self, tried: Sequence[Measured]) -> Measured | None:
        """Return the best within the limit, of equals the one with fewest workers; None where none is within."""
        limit_seconds = self.limit_seconds(tried)
        within = [each for each in tried if self.is_within(each.figures, limit_seconds)]
        if not within:
            return None
        enough = LEVEL * max(self.score(each.figures) for each in within)
        level = [each for each in within if self.score(each.figures) >= enough]
        return min(level, key=lambda each: (*cost(each.settings), -self.score(each.figures)))


def cost(settings: VersionSettings) -> tuple[int, int]:
    """Return what settings take of a machine: processes, and threads of them all."""
    return settings.workers, settings.workers * settings.threads


def is_stable(scores: Sequence[float]) -> bool:
    """Whether there are two rounds or more, and most of them lie close to their median: then more say nothing new."""
    if len(scores) < 2:
        return False
    median = statistics.median(scores)
    close = sum(abs(score - median) <= STABLE_DEVIATION * median for score in scores)
    return close > len(scores) / 2


def median_of(rounds: Sequence[Figures]) -> Figures:
    """Return the medians of one load's rounds; what failed counts as a whole."""
    return Figures(
        statistics.median(each.requests_per_second for each in rounds),
        statistics.median(each.p50_seconds for each in rounds),
        statistics.median(each.p99_seconds for each in rounds),
        sum(each.failed for each in rounds),
    )


def _geometric_mean(values: Sequence[float]) -> float:
    if min(values) <= 0:
        return 0.0
    if max(values) == math.inf:
        return math.inf
    return statistics.geometric_mean(values)
