"""What is tried: batch sizes, workers and threads, batch sizes for those workers, then optimizations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from statehouse.handlers.worker.settings import Optimization
from statehouse.scripts.deployment.file import VersionSettings

BATCH_SIZES = (1, 4, 8, 16, 32, 64)
CONNECTIONS = (1, 4, 8, 16, 64)  # measured where none are given
# As it was trained, which must not be left out; of the others the first contains what the second gives.
OPTIMIZATIONS: tuple[tuple[Optimization, ...], ...] = ((), ("freeze",), ("channels_last",))
# These change the answers, if little: only where somebody has said that they may.
IN_BFLOAT16: tuple[tuple[Optimization, ...], ...] = (("bfloat16", "freeze"), ("bfloat16",))


def with_batch_sizes(
    settings: VersionSettings, batch_sizes: Sequence[int], *, most_in_flight: int | None
) -> list[VersionSettings]:
    """Return the settings with each batch size, ascending; sizes that could never fill are left out."""
    sizes = [size for size in batch_sizes if most_in_flight is None or size <= most_in_flight]
    return [
        settings.model_copy(update={"batch_size": size}) for size in sorted(set(sizes) or {min(batch_sizes)})
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
