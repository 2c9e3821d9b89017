"""A command at a terminal of its own, as a person has it: what it asks is answered, and Ctrl-C reaches it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import termios

from tests.e2e.server import STATEHOUSE, Server

INTERRUPT = b"\x03"  # what Ctrl-C types


class AtTerminal:
    """One command in the foreground of a terminal."""

    def __init__(self, server: Server, *arguments: str) -> None:
        self._shown = b""
        self._controller, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [STATEHOUSE, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=server.folder,
            env=server.environment() | {"TERM": "xterm", "COLUMNS": "300"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)

    @property
    def shown(self) -> str:
        return self._shown.decode(errors="replace")

    def type(self, keys: bytes) -> None:
        os.write(self._controller, keys)

    def hang_up(self) -> None:
        os.close(self._controller)

    def shows(self, text: str) -> None:
        """Read until ``text`` has come."""
        while text not in self.shown:
            try:
                self._shown += os.read(self._controller, 65536)
            except OSError:
                raise AssertionError(f"not shown: {text!r}, but: {self.shown}") from None

    def ends(self) -> int:
        with contextlib.suppress(OSError):
            while piece := os.read(self._controller, 65536):
                self._shown += piece
        os.close(self._controller)
        return self.process.wait(timeout=60)
