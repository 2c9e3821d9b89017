"""Child processes that cannot outlive us: start, read their lines, stop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

PR_SET_PDEATHSIG = 1
MAX_LINE_BYTES = 1 << 20
LAST_LINES_SECONDS = 2

# Loaded here and not between fork and exec: another thread of ours may hold the loader's lock as we fork, and the
# child would wait for it for ever, and we for the child.
_LIBC = ctypes.CDLL(None)
_PRCTL = _LIBC.prctl if sys.platform == "linux" else None

LineSink = Callable[[str], None]


def _die_with_parent() -> None:
    # Runs in the child between fork and exec: the kernel kills it when we die, even by SIGKILL.
    if _PRCTL:
        _PRCTL(PR_SET_PDEATHSIG, SIGKILL)


class ChildProcess:
    """One child in a session of its own, so that a terminal's Ctrl-C reaches only the supervisor."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.Task[None]) -> None:
        self._process = process
        self._reader = reader

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        on_line: LineSink,
        cwd: Path,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> ChildProcess:
        """Start ``command``; every line of its stdout and stderr goes to ``on_line``."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=cwd,
            env=dict(env),
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            preexec_fn=_die_with_parent,
            limit=MAX_LINE_BYTES,
        )
        return cls(process, asyncio.create_task(cls._read_lines(process, on_line)))

    @staticmethod
    async def _read_lines(process: asyncio.subprocess.Process, on_line: LineSink) -> None:
        assert process.stdout is not None  # noqa: S101 - we asked for a pipe
        while True:
            try:
                raw = await process.stdout.readline()
            except ValueError:  # a line longer than MAX_LINE_BYTES: asyncio has dropped it
                on_line(f"(a line of more than {MAX_LINE_BYTES} bytes was dropped)")
                continue
            if not raw:
                return
            on_line(raw.decode("utf-8", errors="replace").rstrip())

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end and for its last line; return the exit code."""
        code = await self._process.wait()
        # Grandchildren may hold the pipe open for a moment after their parent.
        with contextlib.suppress(TimeoutError):
            # Not wait_for, here and below: in Python 3.11 it forgets that it was cancelled when both come at once.
            async with asyncio.timeout(LAST_LINES_SECONDS):
                await asyncio.shield(self._reader)
        return code

    def send_signal(self, number: Signals) -> None:
        """Send a signal; a process that has already ended is no error."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, *, with_signal: Signals = SIGTERM, grace_seconds: float) -> int:
        """Ask it to end, and SIGKILL its whole session after ``grace_seconds``; return the exit code."""
        self.send_signal(with_signal)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._process.wait()
        self.kill_session()
        return await self.wait()

    def kill_session(self) -> None:
        """SIGKILL to the process and to all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, SIGKILL)
