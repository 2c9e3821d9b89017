"""How many cores processes can have: those they may run on, or the container's share if that is less."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores(*, quota: Path = QUOTA) -> int:
    """Return the cores that this process may run on; no more than the container's quota, rounded up, is worth."""
    cores = len(os.sched_getaffinity(0))
    try:
        most, period = quota.read_text().split()
    except (OSError, ValueError):  # no container, or an older kernel's
        return cores
    return cores if most == "max" else max(1, min(cores, -(-int(most) // int(period))))
