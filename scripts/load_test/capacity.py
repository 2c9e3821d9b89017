"""The highest rate that keeps a p99 limit, found by search; one round that goes well is not enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from statehouse.scripts.load_test.histogram import Latency, latency_of
from statehouse.scripts.load_test.result import LoadResult
from statehouse.scripts.terminal.console import seconds_text

START_PER_SECOND = 100.0
GROWTH = 2.0
RESOLUTION = 1.05  # the search ends when what holds and what does not lie so close
STEADY_SHARE = 2 / 3  # what is due later must keep the limit by itself: a queue that grows shows there
CONFIRMING_ROUNDS = 3  # the rate that is told has held in so many rounds, in all or all but one of them
LOWEST_PER_SECOND = 1.0
HIGHEST_PER_SECOND = 1_000_000.0


@dataclass(frozen=True)
class Trial:
    """One round at one rate; ``problem``: why the rate did not hold, None when it did."""

    rate_per_second: float
    answers_per_second: float
    failed: int
    latency: Latency
    problem: str | None
    generator_bound: bool = False

    @property
    def holds(self) -> bool:
        """Whether the server kept the limit."""
        return self.problem is None

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "rate_per_second": round(self.rate_per_second, 3),
            "answers_per_second": round(self.answers_per_second, 3),
            "failed": self.failed,
            "latency": self.latency.to_plain(),
            "holds": self.holds,
            "problem": self.problem,
            "generator_bound": self.generator_bound,
        }


@dataclass(frozen=True)
class Capacity:
    """What was found: ``rate_per_second`` is None where no rate held.

    ``generator_bound``: the generator, and not the server, ended the search: the server may be able to do more.
    ``interrupted``: the rate is the highest that has held by then, and is not confirmed.
    """

    rate_per_second: float | None
    p99_limit_seconds: float
    trials: tuple[Trial, ...]
    interrupted: bool = False

    @property
    def generator_bound(self) -> bool:
        """Whether all that did not hold above the rate was the generator's fault."""
        above = [
            trial
            for trial in self.trials
            if not trial.holds and trial.rate_per_second > (self.rate_per_second or 0)
        ]
        return bool(above) and all(trial.generator_bound for trial in above)

    @property
    def confirming(self) -> tuple[Trial, ...]:
        """The rounds at the rate that was found."""
        return tuple(trial for trial in self.trials if trial.rate_per_second == self.rate_per_second)

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "capacity_per_second": self.rate_per_second,
            "p99_limit_seconds": self.p99_limit_seconds,
            "generator_bound": self.generator_bound,
            "interrupted": self.interrupted,
            "rounds": [trial.to_plain() for trial in self.trials],
        }


Measure = Callable[[float], Trial]


class SearchInterrupted(Exception):  # noqa: N818 - it is no error
    """A round was stopped before its time: the search ends with what it has found."""


def find_capacity(measure: Measure, p99_limit_seconds: float, start_per_second: float) -> Capacity:
    """Search the highest rate that holds: double, then halve the distance, then confirm.

    A round that fails is repeated once before it is believed, as one that goes well is later: noise must not decide.
    ``measure`` may raise SearchInterrupted.
    """
    search = _Search(measure)
    try:
        low = _highest(search, start_per_second)
    except SearchInterrupted:
        held = [trial.rate_per_second for trial in search.trials if trial.holds]
        return Capacity(max(held, default=None), p99_limit_seconds, tuple(search.trials), interrupted=True)
    return Capacity(low, p99_limit_seconds, tuple(search.trials))


def _highest(search: _Search, start_per_second: float) -> float | None:
    low, high = search.bracket(start_per_second)
    while low is not None and high is not None and high / low > RESOLUTION:
        middle = _rounded((low * high) ** 0.5)
        if not low < middle < high:
            break
        if search.holds(middle):
            low = middle
        else:
            high = middle
    while low is not None and not search.confirms(low):
        low = _rounded(low / RESOLUTION) if low / RESOLUTION >= LOWEST_PER_SECOND else None
    return low


def judge(result: LoadResult, p99_limit_seconds: float) -> Trial:
    """Return whether a round held its rate: everything answered well, p99 within the limit, to the end.

    Latency counts from when each request was due, so that p99 contains what a server that falls behind leaves undone.
    """
    rate = result.planned / result.plan.arrivals.duration_seconds
    late = result.records.due >= STEADY_SHARE * result.plan.arrivals.duration_seconds
    last_p99 = latency_of(result.records.seconds[late & result.records.answered]).p99_seconds
    problem = None
    if result.failed:
        problem = f"{result.failed:,} of {result.planned:,} failed"
    elif (result.latency.p99_seconds or 0) > p99_limit_seconds:
        problem = "p99 is over the limit"
    elif (last_p99 or 0) > p99_limit_seconds:
        problem = f"p99 grew to {seconds_text(last_p99)}"
    bound = problem is not None and result.generator.bottleneck is not None
    return Trial(rate, result.answers_per_second, result.failed, result.latency, problem, bound)


class _Search:
    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self.trials: list[Trial] = []

    def bracket(self, rate: float) -> tuple[float | None, float | None]:
        """Return a rate that holds and one that does not; None for what there is not."""
        rate = _rounded(rate)
        if self.holds(rate):
            while rate * GROWTH <= HIGHEST_PER_SECOND:
                if not self.holds(_rounded(rate * GROWTH)):
                    return rate, _rounded(rate * GROWTH)
                rate = _rounded(rate * GROWTH)
            return rate, None
        while rate / GROWTH >= LOWEST_PER_SECOND:
            if self.holds(_rounded(rate / GROWTH)):
                return _rounded(rate / GROWTH), rate
            rate = _rounded(rate / GROWTH)
        return None, rate

    def holds(self, rate: float) -> bool:
        return self._round(rate) or self._round(rate)

    def confirms(self, rate: float) -> bool:
        """Measure until enough rounds have held, or more than one has not."""
        while True:
            held = [trial.holds for trial in self.trials if trial.rate_per_second == rate]
            if held.count(False) > 1:
                return False
            if held.count(True) >= CONFIRMING_ROUNDS:
                return True
            self._round(rate)

    def _round(self, rate: float) -> bool:
        trial = self._measure(rate)
        # What is asked is what is told, however many requests the duration made of it.
        self.trials.append(Trial(**(vars(trial) | {"rate_per_second": rate})))
        return trial.holds


def _rounded(rate: float) -> float:
    """Return a rate in three digits: nobody needs 1,234.567 per second."""
    return float(f"{rate:.3g}")
