"""Workers start nice where the system lets them come back: `handlers.priority` says why, and has the way back."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from handlers.priority import LOADING_NICENESS, SERVER_NICENESS

FORK_CLIENT = Path(__file__).resolve().parent.parent / "handlers" / "fork_client.py"
_COME_BACK = (
    "import os; os.nice(1); os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 1)"
)


def may_come_back() -> bool:
    """Whether a process of ours that was nice may be normal again (root, CAP_SYS_NICE or RLIMIT_NICE)."""
    tried = subprocess.run([sys.executable, "-SEc", _COME_BACK], check=False, stderr=subprocess.DEVNULL)
    return tried.returncode == 0


def worker_python(folder: Path, fork_socket: Path) -> str:
    """Return what TorchServe takes for Python: it asks the fork server for a worker, a nice one where that
    can be undone.
    """
    script = folder / "worker-python"
    ours = f"{SERVER_NICENESS}={os.getpriority(os.PRIO_PROCESS, 0)}"
    nice = ["env", ours, "nice", "-n", str(LOADING_NICENESS)] if may_come_back() else []
    command = shlex.join([*nice, sys.executable, "-IS", str(FORK_CLIENT), str(fork_socket)])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    return str(script)
