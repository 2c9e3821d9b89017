"""What processes can have of this machine, or of the container if that is less; and what leads to it alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from statehouse.models.errors import StatehouseError

MACHINE = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class _Files:
    """Where a container's kernel says what it may take and takes, seen from ``CGROUP``."""

    limit: str
    used: str
    statistics: str
    prefix: str


_VERSIONS = (
    _Files("memory.max", "memory.current", "memory.stat", ""),
    _Files("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_"),
)


def available_bytes(*, machine: Path = MACHINE, cgroup: Path = CGROUP) -> int:
    """Return how many bytes are free, or hold what files can give back.

    ``machine`` and ``cgroup`` are where the kernel says so; StatehouseError where it is no Linux.
    """
    free = _table(machine, separator=":").get("MemAvailable")
    if free is None:
        raise StatehouseError(f"{machine} has no MemAvailable: expected Linux, 3.14 or later.")
    free_bytes = free * 1024
    for files in _VERSIONS:
        limit, used = _number(cgroup / files.limit), _number(cgroup / files.used)
        if limit is not None and used is not None:
            free_bytes = min(free_bytes, limit - used + _cached_bytes(cgroup, files))
    return free_bytes


def _cached_bytes(cgroup: Path, files: _Files) -> int:
    # What was read or written lately is counted as used, and goes as soon as somebody needs the room.
    told = _table(cgroup / files.statistics, separator=" ")
    return sum(told.get(f"{files.prefix}{name}", 0) for name in ("inactive_file", "active_file"))


def _table(file: Path, *, separator: str) -> dict[str, int]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    pairs = [line.split(separator, 1) for line in lines if separator in line]
    values = {name: value.split() for name, value in pairs}
    return {name: int(found[0]) for name, found in values.items() if found and found[0].isdigit()}


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def memory_of(process_ids: Iterable[int | None]) -> int:
    """Return the bytes that these processes take, each page shared by several counted in parts (PSS)."""
    return sum(_proportional_bytes(process_id) for process_id in process_ids if process_id)


def _proportional_bytes(process_id: int) -> int:
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


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


def is_loopback(host: str) -> bool:
    """Whether only this machine can come by this name or address; what is not known to be so is not."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
