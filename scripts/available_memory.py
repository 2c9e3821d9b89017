"""How much memory processes can still have: the machine's, or the container's if that is less."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.errors import NotEnoughMemoryError

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

    ``machine`` and ``cgroup`` are where the kernel says so; NotEnoughMemoryError where it is no Linux.
    """
    free = _table(machine, separator=":").get("MemAvailable")
    if free is None:
        raise NotEnoughMemoryError(f"{machine} has no MemAvailable: is this Linux?")
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
