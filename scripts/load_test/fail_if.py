"""Conditions under which a load has failed: ``p99 > 50ms``, ``errors > 0``, ``rate < 480``.

One condition is a figure, a comparison and a value. Several may be given; one that holds is enough.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from statehouse.scripts.load_test.errors import ErrorKind, FailIfError
from statehouse.scripts.load_test.result import LoadResult
from statehouse.scripts.terminal.console import seconds_text

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_UNIT_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_CONDITION = re.compile(r"\s*([\w.]+)\s*(>=|<=|>|<)\s*(\d+(?:\.\d+)?)\s*(\S*)\s*")

# Durations that no answer gives are infinitely long: a server that answers nothing is not quick.
_DURATIONS: Mapping[str, Callable[[LoadResult], float | None]] = {
    "p50": lambda result: result.latency.p50_seconds,
    "p90": lambda result: result.latency.p90_seconds,
    "p99": lambda result: result.latency.p99_seconds,
    "p99.9": lambda result: result.latency.p99_9_seconds,
    "max": lambda result: result.latency.max_seconds,
    "gap": lambda result: result.longest_gap_seconds,
}
_COUNTS: Mapping[str, Callable[[LoadResult], int]] = {
    "errors": lambda result: result.failed,
    "timeouts": lambda result: result.errors.get(ErrorKind.TIMEOUT, 0),
    "unsent": lambda result: result.unsent,
}
RATE = "rate"
COMPARED = ("p50", "p90", "p99", RATE)  # the figures that --compare has a ratio of


@dataclass(frozen=True)
class Condition:
    """One condition. ``value`` is in seconds, requests, requests per second or, by ``unit``, a share or a ratio."""

    text: str
    figure: str
    comparison: str
    value: float
    unit: str

    @property
    def is_ratio(self) -> bool:
        """Whether it is about two versions: ``p99 > 1.1x``."""
        return self.unit == "x"

    def holds(self, value: float) -> bool:
        """Return whether ``value`` is what makes the load fail."""
        return _COMPARISONS[self.comparison](value, self.value)

    def failure(self, result: LoadResult) -> str | None:
        """Return why a load has failed by this condition, None when it has not."""
        value = self._value(result)
        return f"{self.text}: {self._told(value)}" if self.holds(value) else None

    def _value(self, result: LoadResult) -> float:
        if self.figure in _DURATIONS:
            found = _DURATIONS[self.figure](result)
            return math.inf if found is None else found
        if self.figure == RATE:
            return result.answers_per_second
        count = _COUNTS[self.figure](result)
        return count / max(result.planned, 1) if self.unit == "%" else count

    def _told(self, value: float) -> str:
        if self.figure in _DURATIONS:
            return "nothing was answered" if value == math.inf else f"it is {seconds_text(value)}"
        if self.unit == "%":
            return f"it is {value:.3%}"
        return f"it is {value:,.1f} per second" if self.figure == RATE else f"there are {value:,.0f}"


def parse_conditions(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Return what ``--fail-if`` says; FailIfError has every condition that cannot be read."""
    found, problems = [], []
    for text in texts:
        parsed = _parse(text)
        if isinstance(parsed, Condition):
            found.append(parsed)
        else:
            problems.append(f"{text!r}: {parsed}")
    if problems:
        raise FailIfError("--fail-if cannot be read:", problems)
    return tuple(found)


def _parse(text: str) -> Condition | str:
    match = _CONDITION.fullmatch(text)
    if match is None:
        return "expected a figure, a comparison and a value, such as 'p99 > 50ms' or 'errors > 0'"
    figure, comparison, number, unit = match.groups()
    figure = figure.lower()
    known = [*_DURATIONS, *_COUNTS, RATE]
    if figure not in known:
        return f"{figure!r} is no figure; expected one of {', '.join(known)}"
    if unit == "x":
        if figure not in COMPARED:
            return f"only {', '.join(COMPARED)} have a ratio of two versions"
        return Condition(text.strip(), figure, comparison, float(number), unit)
    scale = _scale(figure, unit)
    return (
        scale
        if isinstance(scale, str)
        else Condition(text.strip(), figure, comparison, float(number) * scale, unit)
    )


def _scale(figure: str, unit: str) -> float | str:
    """Return what the number is to be multiplied with, or why the unit is wrong."""
    if figure in _DURATIONS:
        expected = "a duration, such as 50ms, 800us or 1.5s"
        return _UNIT_SECONDS.get(unit, f"{figure} is {expected}; the unit {unit!r} is none")
    if figure == RATE:
        return (
            1.0
            if unit in ("", "/s")
            else f"rate is requests per second, such as 480; {unit!r} is no unit of it"
        )
    return {"": 1.0, "%": 0.01}.get(
        unit, f"{figure} is a number or a share, such as 0 or 0.1%; {unit!r} is neither"
    )
