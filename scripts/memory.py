"""What workers take, and whether one more version would fit. Estimates on the safe side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts.available_memory import available_bytes
from scripts.deployment import VersionSettings
from scripts.errors import NotEnoughMemoryError
from scripts.supervisor import Supervisor

# Measured on a CPU: a forked worker of a small module has 21 MiB of its own; the rest is room for activations.
WORKER_BYTES = 96 << 20
# Weights are mapped and shared between workers on a CPU; activations and the like come on top.
WEIGHTS_FACTOR = 1.5
# Measured: what is frozen lays its weights out anew beside those that were loaded.
COPIED_WEIGHTS_FACTOR = 2.5


STOP_FIRST = "Stop the old version first with --replace (its requests wait meanwhile), retire another"


def refuse_if_too_large(
    supervisor: Supervisor, name: str, version: str, settings: VersionSettings, *, hint: str = STOP_FIRST
) -> None:
    """Raise NotEnoughMemoryError, with ``hint``, when the workers of a version would not fit beside what runs."""
    published = supervisor.store.get(name, version)
    weights = published.manifest.checkpoint_bytes
    copies = settings.total_workers if settings.optimizations else 1  # optimised, they are not shared
    factor = COPIED_WEIGHTS_FACTOR if settings.optimizations else WEIGHTS_FACTOR
    needed = round(settings.total_workers * WORKER_BYTES + copies * factor * weights)
    free = available_bytes() - supervisor.deployment.limits.keep_free_bytes
    if needed > free:
        raise NotEnoughMemoryError(
            f"{name} {version} needs about {needed >> 20:,} MiB ({settings.total_workers} workers, "
            f"{weights >> 20:,} MiB of weights), and {max(free, 0) >> 20:,} MiB are free. {hint}, "
            "or give it fewer workers."
        )


def memory_of(process_ids: Iterable[int | None]) -> int:
    """Return the bytes that these processes take, each page shared by several counted in parts (PSS)."""
    return sum(_proportional_bytes(process_id) for process_id in process_ids if process_id)


def _proportional_bytes(process_id: int) -> int:
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
