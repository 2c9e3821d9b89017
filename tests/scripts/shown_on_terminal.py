"""A terminal of a given width, as a person has one: a pseudo-terminal, and what was shown on it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shown_on_terminal(command: list[str | Path], *, width: int, folder: Path) -> list[str]:
    """Return the lines that a command's standard output shows, without colours."""
    controller, terminal = pty.openpty()
    environment = os.environ | {"COLUMNS": str(width), "TERM": "xterm", "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=subprocess.DEVNULL, cwd=folder, env=environment
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(controller, 65536):
            shown += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    process.wait(timeout=240)
    os.close(controller)
    return _CONTROLS.sub("", shown.decode()).replace("\r\n", "\n").splitlines()
