"""How a version runs whose settings nobody has chosen: by what it computes, and by what this machine has."""

from __future__ import annotations

from pathlib import Path

from scripts.available_cores import available_cores
from scripts.available_memory import available_bytes
from scripts.deployment import ONE_LANE, LaneSettings, VersionSettings
from scripts.manifest import VersionManifest
from scripts.memory import COPIED_WEIGHTS_FACTOR, WEIGHTS_FACTOR, WORKER_BYTES

GPU = Path("/dev/nvidiactl")
# A row that takes a core longer than all else that a request costs, and uses each weight several times, as convolutions
# and tokens do: a batch of such is little faster than its rows one by one. Linear layers on one vector gain by batches.
HEAVY_MACS, HEAVY_MACS_PER_PARAMETER = 5_000_000, 4
# Measured (docs/performance.md): batches of one until every worker has three requests, then small ones.
FEW_PER_WORKER, HEAVY_BATCH = 3, 4
HEAVY_WORKER_BYTES = 256 << 20  # with its activations
WORTHWHILE_SPEEDUP = 1.1  # of an optimization
MOST_WORKERS = 8  # of a lane; more are for somebody who has measured


def default_settings(
    manifest: VersionManifest | None, *, new_versions: int, keep_free_bytes: int
) -> VersionSettings:
    """Return the settings of one of so many ``new_versions`` that nobody has chosen any for.

    Light modules, and those of which nothing is known, get lanes of one worker each: what surrounds the module costs
    more than it, and batches share that. Heavy ones get two lanes with a worker per core each. All workers of the new
    versions fit into half of what is free; where they would not, and on a GPU, which every worker would fill with
    weights of its own, there is one. What was found to be faster frozen is, where there is room for that too: then
    each worker has weights of its own.
    """
    one, lanes = VersionSettings(lanes=ONE_LANE), VersionSettings()
    if GPU.exists():
        return one
    weights = manifest.checkpoint_bytes if manifest else 0
    room = (available_bytes() - keep_free_bytes) / 2 / new_versions - WEIGHTS_FACTOR * weights
    if manifest is not None and is_heavy(manifest.macs_per_row, manifest.parameter_count):
        workers = min(available_cores(), MOST_WORKERS, int(room / 2 / HEAVY_WORKER_BYTES))
        settings = _for_heavy_rows(workers) if workers > 0 else one
        copies = settings.total_workers * (HEAVY_WORKER_BYTES + COPIED_WEIGHTS_FACTOR * weights)
        freeze = (manifest.frozen_speedup or 0) >= WORTHWHILE_SPEEDUP and copies <= room
        return settings.model_copy(update={"optimizations": ("freeze",)}) if freeze else settings
    return lanes if lanes.total_workers * WORKER_BYTES <= room else one


def _for_heavy_rows(workers: int) -> VersionSettings:
    few = LaneSettings(batch_size=1, up_to=FEW_PER_WORKER * workers)
    return VersionSettings(workers=workers, lanes=(few, LaneSettings(batch_size=HEAVY_BATCH)))


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
