"""How many cores processes can have: those they may run on, or the container's share if that is less."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
# Where a container's kernel says how long it may compute in how long a time, both in µs.
QUOTA = "cpu.max"
OLD_QUOTA = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


def available_cores(*, cgroup: Path = CGROUP) -> int:
    """Return the cores that this process may run on, or its container's share of them, rounded up, if that is less."""
    cores = len(os.sched_getaffinity(0))
    quota, period = _words(cgroup, QUOTA) or _words(cgroup, *OLD_QUOTA) or ("max", "1")
    if not quota.isdigit():  # "max" or -1
        return cores
    return max(1, min(cores, -(-int(quota) // int(period))))


def _words(cgroup: Path, *files: str) -> list[str]:
    try:
        return [word for file in files for word in (cgroup / file).read_text().split()]
    except OSError:
        return []
