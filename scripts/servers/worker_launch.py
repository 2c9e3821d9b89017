"""How workers start and end: what TorchServe takes for Python and for ``kill``, and what a killed server leaves."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from statehouse.handlers.worker import fork_client
from statehouse.handlers.worker.priority import LOADING_NICENESS, SERVER_NICENESS


def path_with_kill(path: str, folder: Path) -> str:
    """Return a search path like ``path`` on which there is a ``kill``: one in ``folder``, where there is no other.

    TorchServe ends workers by that command, and fails to unload a version where there is none. Slim images have
    none; but every shell has one built in.
    """
    if shutil.which("kill", path=path):
        return path
    folder.mkdir(mode=0o700, exist_ok=True)
    command = folder / "kill"
    command.write_text('#!/bin/sh\nkill "$@"\n')
    command.chmod(0o700)
    return f"{path}{os.pathsep}{folder}"


FORK_CLIENT = Path(fork_client.__file__)
_COME_BACK = (
    "import os; os.nice(1); os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 1)"
)


def may_come_back() -> bool:
    """Whether a process of ours that was nice may be normal again (root, CAP_SYS_NICE or RLIMIT_NICE)."""
    tried = subprocess.run([sys.executable, "-SEc", _COME_BACK], check=False, stderr=subprocess.DEVNULL)
    return tried.returncode == 0


def worker_python(folder: Path, fork_socket: Path) -> str:
    """Return what TorchServe takes for Python: it asks the fork server for a worker.

    The worker is a nice one where the system lets it come back: `handlers/worker/priority.py` says why.
    """
    script = folder / "worker-python"
    ours = f"{SERVER_NICENESS}={os.getpriority(os.PRIO_PROCESS, 0)}"
    nice = ["env", ours, "nice", "-n", str(LOADING_NICENESS)] if may_come_back() else []
    command = shlex.join([*nice, sys.executable, "-IS", str(FORK_CLIENT), str(fork_socket)])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    return str(script)


def computed_ticks(pid: int) -> int:
    """Return for how many of the kernel's ticks a process has computed; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])  # utime and stime; fields begins with the third, the state


def kill_leftovers(temporary_folder: Path) -> list[int]:
    """SIGKILL every process whose TMPDIR is this folder, which only this server's children have; return their ids.

    A worker that had not been connected to when TorchServe was killed waits for that for ever.
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
