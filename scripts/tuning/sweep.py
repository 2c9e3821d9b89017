"""The sweep: what to try next, from what was found so far. It measures by a function that it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from statehouse.handlers.worker.settings import Optimization
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.tuning.candidates import (
    BATCH_SIZES,
    IN_BFLOAT16,
    OPTIMIZATIONS,
    with_batch_sizes,
    with_optimizations,
    with_workers,
)
from statehouse.scripts.tuning.choice import Goal, Measured

Measure = Callable[[VersionSettings], Measured]


@dataclass(frozen=True)
class Space:
    """What may be tried. ``connections``: of each load, in their order; none for a fixed rate."""

    cores: int
    connections: tuple[int, ...] = ()
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    bfloat16: bool = False  # whether answers may be of that precision


class Sweep:
    """Tries settings, each of them once, and remembers what was found."""

    def __init__(
        self, measure: Measure, goal: Goal, space: Space, expect: Callable[[int], None] = lambda count: None
    ) -> None:
        self.found: dict[VersionSettings, Measured] = {}
        self._measure = measure
        self._goal = goal
        self._space = space
        self._expect = expect  # told how many are still to be tried, as far as is known

    def run(self, present: VersionSettings) -> list[Measured]:
        """Try the present settings and all that the space allows; return what was found, in order."""
        space = self._space
        # One worker first, with the module as it is at present: what batches give shows best there.
        one = VersionSettings(threads=present.threads, optimizations=present.optimizations)
        sizes = self._with_batch_sizes(one)
        self._try([present, VersionSettings()], later=len(sizes))
        tried = self._try(sizes)
        tried += self._try(with_workers(self._best(tried), space.cores))
        # With several workers at work, each has fewer requests waiting.
        tried += self._try(self._with_batch_sizes(self._best(tried)))
        best = self._best(tried)
        self._try_optimizations(best, OPTIMIZATIONS)
        if space.bfloat16:
            self._try_optimizations(best, IN_BFLOAT16)
        return list(self.found.values())

    def _with_batch_sizes(self, settings: VersionSettings) -> list[VersionSettings]:
        space = self._space
        most_in_flight = max(space.connections, default=None)
        return with_batch_sizes(settings, space.batch_sizes, most_in_flight=most_in_flight)

    def _try(self, candidates: Iterable[VersionSettings], *, later: int = 0) -> list[Measured]:
        candidates = list(candidates)
        new = [each for each in dict.fromkeys(candidates) if each not in self.found]
        for index, settings in enumerate(new):
            self._expect(len(new) - index + later)
            self.found[settings] = self._measure(settings)
        return [self.found[settings] for settings in candidates]

    def _try_optimizations(
        self, settings: VersionSettings, ways: Sequence[tuple[Optimization, ...]]
    ) -> list[Measured]:
        """Try them until one can run that is any."""
        tried: list[Measured] = []
        for optimized in with_optimizations(settings, ways):
            tried += self._try([optimized])
            if optimized.optimizations and tried[-1].problem is None:
                break
        return tried

    def _best(self, tried: Sequence[Measured]) -> VersionSettings:
        chosen = self._goal.choose(tried)
        # None is within the limit yet: more workers may be.
        return (chosen or max(tried, key=lambda each: self._goal.score(each.figures))).settings
