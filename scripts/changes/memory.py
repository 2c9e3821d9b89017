"""What workers take, and whether one more version would fit. Estimates on the safe side."""

from __future__ import annotations

from statehouse.scripts.changes.change import Change
from statehouse.scripts.deployment.defaults import COPIED_WEIGHTS_FACTOR, WEIGHTS_FACTOR, WORKER_BYTES
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import NotEnoughMemoryError
from statehouse.scripts.machine import available_bytes

STOP_FIRST = "Stop the old version first with --replace (its requests wait meanwhile), retire another"


def refuse_if_too_large(
    change: Change, version: str, settings: VersionSettings, *, hint: str = STOP_FIRST
) -> None:
    """Raise NotEnoughMemoryError, with ``hint``, when the workers of a version would not fit beside what runs."""
    published = change.store.get(change.name, version)
    weights = published.manifest.checkpoint_bytes
    copies = settings.workers if settings.optimizations else 1  # optimised, they are not shared
    factor = COPIED_WEIGHTS_FACTOR if settings.optimizations else WEIGHTS_FACTOR
    needed = round(settings.workers * WORKER_BYTES + copies * factor * weights)
    free = available_bytes() - change.desired.deployment.limits.keep_free_bytes
    if needed > free:
        raise NotEnoughMemoryError(
            f"{change.name} {version} needs about {needed >> 20:,} MiB ({settings.workers_told}, "
            f"{weights >> 20:,} MiB of weights), and {max(free, 0) >> 20:,} MiB are free. {hint}, "
            "or give it fewer workers."
        )
