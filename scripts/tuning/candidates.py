"""What is tried: single lanes, workers and threads, optimizations, then lanes made of the best sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from handlers.settings import Optimization
from scripts.deployment import MAX_LANES, LaneSettings, VersionSettings

BATCH_SIZES = (1, 4, 8, 16, 32, 64)
DELAYS_MS = (2, 5)  # besides the default lane's
CONNECTIONS = (1, 4, 8, 16, 64)  # measured where none are given
# As it was trained, which must not be left out; of the others the first contains what the second gives.
OPTIMIZATIONS: tuple[tuple[Optimization, ...], ...] = ((), ("freeze",), ("channels_last",))
# These change the answers, if little: only where somebody has said that they may.
IN_BFLOAT16: tuple[tuple[Optimization, ...], ...] = (("bfloat16", "freeze"), ("bfloat16",))


def single_lanes(
    batch_sizes: Sequence[int], present: VersionSettings, *, most_in_flight: int | None
) -> list[VersionSettings]:
    """Return one worker per batch size, its module as it is at present; sizes that could never fill are left out."""
    sizes = [size for size in batch_sizes if most_in_flight is None or size <= most_in_flight]
    return [
        VersionSettings(
            threads=present.threads,
            optimizations=present.optimizations,
            lanes=(LaneSettings(batch_size=size),),
        )
        for size in sorted(set(sizes)) or batch_sizes[:1]
    ]


def with_delays(settings: VersionSettings, delays_ms: Sequence[int]) -> list[VersionSettings]:
    """Return a single lane that waits longer for a batch to fill; a batch of one never waits."""
    [lane] = settings.lanes
    if lane.batch_size == 1:
        return []
    return [
        settings.model_copy(update={"lanes": (lane.model_copy(update={"max_batch_delay_ms": delay}),)})
        for delay in delays_ms
    ]


def with_workers(settings: VersionSettings, cores: int) -> list[VersionSettings]:
    """Return workers × threads in powers of two, up to the cores; the given ones are not repeated."""
    powers = [2**exponent for exponent in range(max(cores, 1).bit_length())]
    pairs = [(workers, threads) for workers in powers for threads in powers if workers * threads <= cores]
    return [
        settings.model_copy(update={"workers": workers, "threads": threads})
        for workers, threads in pairs
        if (workers, threads) != (settings.workers, settings.threads)
    ]


def with_optimizations(
    settings: VersionSettings, ways: Sequence[tuple[Optimization, ...]]
) -> Iterator[VersionSettings]:
    """Yield the settings with each of the ``ways``, the best first; one that a module does not allow cannot run."""
    for optimizations in ways:
        yield settings.model_copy(update={"optimizations": optimizations})


class Group(NamedTuple):
    """Neighbouring numbers of connections that one batch size is best for."""

    batch_size: int
    fewest: int
    most: int


def lane_sets(best_sizes: Mapping[int, int], settings: VersionSettings) -> Iterator[VersionSettings]:
    """Yield lanes made of the batch size that is best for each number of connections: all of them, then fewer.

    One worker per lane and, where ``settings`` has more workers, as many as that.
    """
    groups = _groups(best_sizes)
    counts = range(min(len(groups), MAX_LANES), 1, -1)
    for workers in sorted({1, settings.workers}):
        for count in counts:
            lanes = _lanes(_some(groups, count), settings.lanes[-1].max_batch_delay_ms)
            yield settings.model_copy(update={"workers": workers, "lanes": lanes})


def _groups(best_sizes: Mapping[int, int]) -> list[Group]:
    groups: list[Group] = []
    for connections, size in sorted(best_sizes.items()):
        last = groups[-1] if groups else None
        if last is not None and size <= last.batch_size:  # lanes ascend
            groups[-1] = last._replace(most=connections)
        else:
            groups.append(Group(size, connections, connections))
    return groups


def _some(groups: Sequence[Group], count: int) -> list[Group]:
    """Return so many of them, the first and the last among them."""
    step = (len(groups) - 1) / (count - 1)
    return [groups[round(index * step)] for index in range(count)]


def _lanes(groups: Sequence[Group], last_delay_ms: int) -> tuple[LaneSettings, ...]:
    # Between what was measured, the geometric middle.
    bounds = [math.isqrt(lower.most * upper.fewest) for lower, upper in pairwise(groups)]
    lanes = [
        LaneSettings(batch_size=group.batch_size, up_to=bound)
        for group, bound in zip(groups, bounds, strict=False)
    ]
    return (*lanes, LaneSettings(batch_size=groups[-1].batch_size, max_batch_delay_ms=last_delay_ms))
