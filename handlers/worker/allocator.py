"""Freed memory stays with the worker, for the next batch."""

from __future__ import annotations

import ctypes

# mallopt(3). As shipped glibc gives the kernel back what is free at the top of the heap, and what was large, and gets
# the same pages again, zeroed one by one, with every batch: for activations of megabytes that is a quarter of all time.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MOST_KEPT_BYTES = 64 << 20  # less than a worker is taken to need
LARGEST_KEPT_BYTES = 32 << 20  # glibc takes no more


def keep_freed_memory() -> bool:
    """Keep what is free at the top of the heap, up to 64 MiB; returns whether the allocator can be told so."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES) and mallopt(M_TRIM_THRESHOLD, MOST_KEPT_BYTES))
