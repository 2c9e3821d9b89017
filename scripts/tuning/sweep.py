"""The sweep: what to try next, from what was found so far. It measures by a function that it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from handlers.settings import Optimization
from scripts.deployment import VersionSettings
from scripts.tuning.candidates import (
    BATCH_SIZES,
    DELAYS_MS,
    IN_BFLOAT16,
    OPTIMIZATIONS,
    lane_sets,
    single_lanes,
    with_delays,
    with_optimizations,
    with_workers,
)
from scripts.tuning.choice import LEVEL, Goal, Measured

Measure = Callable[[VersionSettings], Measured]


@dataclass(frozen=True)
class Space:
    """What may be tried. ``connections``: of each load, in their order; none for a fixed rate."""

    cores: int
    connections: tuple[int, ...] = ()
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    delays_ms: tuple[int, ...] = DELAYS_MS
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
        lanes = single_lanes(space.batch_sizes, present, most_in_flight=max(space.connections, default=None))
        self._try([present, VersionSettings()], later=len(lanes))
        singles = self._try(lanes)
        best = self._best(singles)
        singles += self._try(with_delays(best, space.delays_ms))
        best = self._best(singles)
        best = self._best([*singles, *self._try(with_workers(best, space.cores))])
        optimized = self._try_optimizations(best, OPTIMIZATIONS)
        optimized += self._try_optimizations(best, IN_BFLOAT16) if space.bfloat16 else []
        best = self._best([self.found[best], *optimized])
        if len(space.connections) > 1:
            self._try(lane_sets(self._best_sizes(singles), best))
        return list(self.found.values())

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
        # None is within the limit yet: more workers or lanes may be.
        return (chosen or max(tried, key=lambda each: self._goal.score(each.figures))).settings

    def _best_sizes(self, singles: Sequence[Measured]) -> dict[int, int]:
        """Return which batch size is best for each number of connections, of equals the smallest."""
        sound = [each for each in singles if each.figures]
        sizes: dict[int, int] = {}
        for index, connections in enumerate(self._space.connections):
            enough = LEVEL * max((each.figures[index].requests_per_second for each in sound), default=0)
            sizes[connections] = min(
                (
                    each.settings.lanes[0].batch_size
                    for each in sound
                    if each.figures[index].requests_per_second >= enough
                ),
                default=1,
            )
        return sizes
