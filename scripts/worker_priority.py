"""Workers that load step back for those that serve.

Starting a worker costs seconds of a core, most of it torch's import: on a small machine that is capacity
taken from everybody who is being answered. So it starts nice, and takes its place when it has proved
itself (`handlers.startup.take_normal_priority`), where the system lets it come back.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

NICENESS = 15
_COME_BACK = (
    "import os; os.nice(1); os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 1)"
)


def may_come_back() -> bool:
    """Whether a process of ours that was nice may be normal again (root, CAP_SYS_NICE or RLIMIT_NICE)."""
    tried = subprocess.run([sys.executable, "-SEc", _COME_BACK], check=False, stderr=subprocess.DEVNULL)
    return tried.returncode == 0


def worker_python(folder: Path) -> str:
    """Return the Python that workers are started with: ours, and nice where that can be undone."""
    if not may_come_back():
        return sys.executable
    script = folder / "worker-python"
    command = shlex.join(["nice", "-n", str(NICENESS), sys.executable])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    return str(script)
