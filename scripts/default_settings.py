"""How a version runs whose settings nobody has chosen: by what it computes, and by what this machine has."""

from __future__ import annotations

from pathlib import Path

from scripts.available_cores import available_cores
from scripts.available_memory import available_bytes
from scripts.deployment import DEFAULT_LANES, ONE_LANE, LaneSettings, VersionSettings
from scripts.manifest import VersionManifest
from scripts.memory import WORKER_BYTES

GPU = Path("/dev/nvidiactl")
HEAVY_MACS = 5_000_000  # per row: about a millisecond of a core, more than all else that a request costs
# Measured (docs/performance.md): of heavy rows a batch of one is best until every core has work, then a small one.
FEW_PER_WORKER, HEAVY_BATCH = 3, 4
MOST_WORKERS = 8  # of a lane; more are for somebody who has measured


def default_settings(
    manifest: VersionManifest | None, *, versions: int, keep_free_bytes: int
) -> VersionSettings:
    """Return the settings of one of so many ``versions`` that nobody has chosen any for.

    Light modules, and those of which nothing is known, get lanes of one worker each: what surrounds the module costs
    more than it, and batches share that. Heavy ones get a worker per core. All their workers fit into half of what is
    free; where they would not, and on a GPU, which every worker would fill with weights of its own, there is one.
    """
    one = VersionSettings(lanes=ONE_LANE)
    if GPU.exists():
        return one
    room = (available_bytes() - keep_free_bytes) // 2 // (versions * WORKER_BYTES)
    if manifest is not None and (manifest.macs_per_row or 0) >= HEAVY_MACS:
        workers = min(available_cores(), MOST_WORKERS, room // 2)
        return _for_heavy_rows(workers) if workers > 0 else one
    return VersionSettings() if len(DEFAULT_LANES) <= room else one


def _for_heavy_rows(workers: int) -> VersionSettings:
    few = LaneSettings(batch_size=1, up_to=FEW_PER_WORKER * workers)
    return VersionSettings(workers=workers, lanes=(few, LaneSettings(batch_size=HEAVY_BATCH)))
