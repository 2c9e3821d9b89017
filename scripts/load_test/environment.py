"""Where a load was measured: without it figures say little."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from statehouse import __version__

_PACKAGES = ("torch", "torchserve")


def environment_of(status: dict[str, Any] | None = None, name: str = "") -> dict[str, str]:
    """Return what is known of this machine, its software and, from ``status``, of the versions of ``name``."""
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    found = {
        "machine": f"{platform.machine()}, {_processor()}",
        "processors": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} usable by the generator",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "load average at the end": f"{load} (1, 5, 15 minutes)",
        "software": ", ".join(
            [f"statehouse {__version__}", f"Python {platform.python_version()}", *_versions()]
        ),
    }
    for row in (status or {}).get("models", []):
        if row["name"] == name:
            found[f"{name} {row['version']}"] = _served(row)
    return found


def _served(row: dict[str, Any]) -> str:
    settings = row["settings"]
    default = "default, " if row["default"] else ""
    return (
        f"{default}digest {row['digest'][:12]}, workers {settings['workers']}, "
        f"batches up to {settings['batch_size']}, threads {settings['threads']}"
    )


def _versions() -> list[str]:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # where only the generator runs
            continue
    return found


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / 2**20:.1f} GiB"
    return "unknown"


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text().splitlines()
    except OSError:
        return []
