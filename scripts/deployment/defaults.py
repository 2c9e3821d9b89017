"""How a version runs whose settings nobody has chosen: by what it computes, and by what this machine has."""

from __future__ import annotations

from pathlib import Path

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.machine import available_bytes, available_cores
from statehouse.scripts.store.manifest import VersionManifest

GPU = Path("/dev/nvidiactl")
# A row that takes a core longer than all else that a request costs, and uses each weight several times, as convolutions
# and tokens do: a batch of such is little faster than its rows one by one. Linear layers on one vector gain by batches.
HEAVY_MACS, HEAVY_MACS_PER_PARAMETER = 5_000_000, 4
HEAVY_BATCH = 4  # more of them keep each other waiting, and gain nothing
GPU_BATCH = 8  # of heavy rows: what they take on the way through the module is the device's memory
HEAVY_WORKER_BYTES = 256 << 20  # with its activations
WORTHWHILE_SPEEDUP = 1.1  # of an optimization
MOST_WORKERS = 8  # more are for somebody who has measured


def default_settings(
    manifest: VersionManifest | None, *, new_versions: int, keep_free_bytes: int
) -> VersionSettings:
    """Return the settings of one of so many ``new_versions`` that nobody has chosen any for.

    Light modules, and those of which nothing is known, get one worker and large batches: what surrounds the module
    costs more than it, and batches share that. Heavy ones get a worker per core and small batches. All workers of the
    new versions fit into half of what is free; where they would not, and on a GPU, which every worker would fill with
    weights of its own, there is one. What was found to be faster frozen is, where there is room for that too: then
    each worker has weights of its own.
    """
    if manifest is None or not is_heavy(manifest.macs_per_row, manifest.parameter_count):
        return VersionSettings()
    if GPU.exists():
        return VersionSettings(batch_size=GPU_BATCH)
    weights = manifest.checkpoint_bytes
    room = (available_bytes() - keep_free_bytes) / 2 / new_versions - WEIGHTS_FACTOR * weights
    workers = max(1, min(available_cores(), MOST_WORKERS, int(room / HEAVY_WORKER_BYTES)))
    copies = workers * (HEAVY_WORKER_BYTES + COPIED_WEIGHTS_FACTOR * weights)
    freeze = (manifest.frozen_speedup or 0) >= WORTHWHILE_SPEEDUP and copies <= room
    return VersionSettings(
        workers=workers, batch_size=HEAVY_BATCH, optimizations=("freeze",) if freeze else ()
    )


def is_heavy(macs_per_row: int | None, parameter_count: int) -> bool:
    """Whether a row of a version takes longer than what surrounds it, and gains little by a batch."""
    return (macs_per_row or 0) >= max(HEAVY_MACS, HEAVY_MACS_PER_PARAMETER * parameter_count)


def same_kind(one: VersionManifest, other: VersionManifest) -> bool:
    """Whether what is good for one version may be good for the other; so it may where one of them was never counted."""
    if one.macs_per_row is None or other.macs_per_row is None:
        return True
    return is_heavy(one.macs_per_row, one.parameter_count) == is_heavy(
        other.macs_per_row, other.parameter_count
    )


# Measured on a CPU: a forked worker of a small module has 21 MiB of its own; the rest is room for activations.
WORKER_BYTES = 96 << 20


# Weights are mapped and shared between workers on a CPU; activations and the like come on top.
WEIGHTS_FACTOR = 1.5


# Measured: what is frozen lays its weights out anew beside those that were loaded.
COPIED_WEIGHTS_FACTOR = 2.5
