"""Two versions under the same load, in turn: ratios of their figures with confidence intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from statehouse.scripts.load_test.fail_if import RATE, Condition
from statehouse.scripts.load_test.result import LoadResult

DEFAULT_PAIRS = 6
CONFIDENCE = 0.95
# Student's t for 95 %, both sides, by degrees of freedom; from 30 on the normal distribution is near enough.
_T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045),
)
_T95_BEYOND = 1.96

_FIGURES: dict[str, Callable[[LoadResult], float | None]] = {
    "p50": lambda result: result.latency.p50_seconds,
    "p90": lambda result: result.latency.p90_seconds,
    "p99": lambda result: result.latency.p99_seconds,
    RATE: lambda result: result.answers_per_second,
}


@dataclass(frozen=True)
class Ratio:
    """How many times the base's figure the other version's is, with its interval; medians of the rounds.

    The interval is infinite where there is but one pair of rounds.
    """

    figure: str
    base: float
    other: float
    ratio: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether 1, no difference, lies outside the interval."""
        return not self.low <= 1 <= self.high

    def to_plain(self) -> dict[str, Any]:
        """Plain data; what is infinite is None."""
        return {key: value if value != math.inf else None for key, value in vars(self).items()}


@dataclass(frozen=True)
class Comparison:
    """Rounds in turn, ``base`` and ``other`` by their index; ratios of pairs of rounds.

    ``interrupted``: there were to be more of them.
    """

    base_name: str
    other_name: str
    base: tuple[LoadResult, ...]
    other: tuple[LoadResult, ...]
    interrupted: bool = False

    @property
    def ratios(self) -> list[Ratio]:
        """Every figure that all rounds have."""
        found = []
        for figure, value in _FIGURES.items():
            pairs = [(value(one), value(two)) for one, two in zip(self.base, self.other, strict=True)]
            known = [(one, two) for one, two in pairs if one and two]
            if known and len(known) == len(pairs):
                found.append(_ratio(figure, known))
        return found

    @property
    def failed(self) -> tuple[int, int]:
        """How many requests failed, of the base and of the other."""
        return sum(each.failed for each in self.base), sum(each.failed for each in self.other)

    @property
    def bottleneck(self) -> str | None:
        """Why the generator may be what was measured; None when it kept up."""
        return next((each.generator.bottleneck for each in self.rounds if each.generator.bottleneck), None)

    @property
    def rounds(self) -> tuple[LoadResult, ...]:
        """All of them, in no order."""
        return self.base + self.other

    def failures(self, conditions: Sequence[Condition]) -> list[str]:
        """Return why the other version has failed.

        A ratio fails when its whole interval does: noise alone must not. Other conditions are about each round of
        the other version.
        """
        ratios = {each.figure: each for each in self.ratios}
        found = []
        for condition in conditions:
            if condition.is_ratio:
                reason = _ratio_failure(condition, ratios.get(condition.figure))
                found += [reason] if reason else []
            else:
                reasons = [condition.failure(each) for each in self.other]
                found += [f"{each}, in round {number}" for number, each in enumerate(reasons, 1) if each]
        return found

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        failed = self.failed
        return {
            "base": self.base_name,
            "other": self.other_name,
            "confidence": CONFIDENCE,
            "ratios": [ratio.to_plain() for ratio in self.ratios],
            "failed": {"base": failed[0], "other": failed[1]},
            "bottleneck": self.bottleneck,
            "interrupted": self.interrupted,
            "rounds": {
                "base": [each.to_plain() for each in self.base],
                "other": [each.to_plain() for each in self.other],
            },
        }


def order_of(pairs: int) -> list[bool]:
    """Return whose turn it is, True: the other's; each is first in every other pair, so that neither has it better."""
    return [which for pair in range(pairs) for which in ((False, True) if pair % 2 == 0 else (True, False))]


def _ratio(figure: str, pairs: Sequence[tuple[float, float]]) -> Ratio:
    logs = [math.log(other / base) for base, other in pairs]
    middle = statistics.fmean(logs)
    half = math.inf
    if len(logs) > 1:
        freedom = len(logs) - 1
        t = _T95[freedom - 1] if freedom <= len(_T95) else _T95_BEYOND
        half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    high = math.exp(middle + half) if half < math.inf else math.inf
    return Ratio(
        figure,
        statistics.median(base for base, _ in pairs),
        statistics.median(other for _, other in pairs),
        math.exp(middle),
        math.exp(middle - half),
        high,
    )


def _ratio_failure(condition: Condition, ratio: Ratio | None) -> str | None:
    if ratio is None:
        return f"{condition.text}: not every round was answered"
    if condition.holds(ratio.low) and condition.holds(ratio.high):
        return f"{condition.text}: it is {ratio.ratio:.2f}x, between {ratio.low:.2f} and {ratio.high:.2f}"
    return None
