"""Processes that a killed server left behind: found by the private folder that only its children are told of."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def kill_leftovers(temporary_folder: Path) -> list[int]:
    """SIGKILL every process of ours whose TMPDIR is this folder; return their ids.

    A worker that had not been connected to when Java was killed waits for that for ever.
    """
    told = f"TMPDIR={temporary_folder}".encode()
    found = [int(process.name) for process in Path("/proc").glob("[0-9]*") if told in _environment(process)]
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return []
