"""Workers that load step back for those that serve.

Loading a version and proving it costs a core for as long as it takes: on a small machine that is capacity
taken from everybody who is being answered. So a worker starts nice, and takes its place when it has proved
itself (`handlers.startup.take_normal_priority`), where the system lets it come back.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from handlers.settings import SERVER_NICENESS

NICENESS = 15
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
    nice = ["env", ours, "nice", "-n", str(NICENESS)] if may_come_back() else []
    command = shlex.join([*nice, sys.executable, "-IS", str(FORK_CLIENT), str(fork_socket)])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    return str(script)
