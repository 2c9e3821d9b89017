"""A worker that loads steps back for those that serve, and takes its place when it has proved itself.

Loading a version and proving it costs a core for as long as it takes: on a small machine that is capacity taken from
everybody who is being answered. TorchServe starts workers nice where the system lets them come back
(`scripts/servers/worker_launch.py`). Where Linux shares the processors among sessions first (sched(7), *The
autogroup feature*: most kernels, outside of containers) that counts within a session alone, and each worker has
one of its own; so the session is made nice as well.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

LOADING_NICENESS = 15
# Set for workers that were started nicer than the server, and may come back.
SERVER_NICENESS = "STATEHOUSE_NICENESS"
SESSION = Path("/proc/self/autogroup")
RETRY_SECONDS = 0.05  # who has no rights may set ten a second, all sessions of the machine together


def step_back() -> None:
    """Make the session that this process leads nice."""
    _set_session_niceness(LOADING_NICENESS)


def take_normal_priority() -> None:
    """Work as the server does, in a session as others are."""
    _set_session_niceness(0)
    normal = os.environ.get(SERVER_NICENESS)
    if normal is None:
        return
    # A priority belongs to a thread, and torch has started some by now.
    for thread in Path("/proc/self/task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(thread.name), int(normal))


def _set_session_niceness(niceness: int) -> None:
    if os.getsid(0) != os.getpid():
        return  # others are in it
    while True:
        try:
            SESSION.write_text(str(niceness))
        except OSError as error:
            if error.errno == errno.EAGAIN:
                time.sleep(RETRY_SECONDS)
                continue
            # No such kernel, or /proc may not be written to: then the niceness of processes is all there is.
        return
