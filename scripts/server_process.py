"""A server that we run as a child: it is up once it answers, and we notice when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from signal import Signals

from scripts.child_process import ChildProcess, LineSink
from scripts.errors import ServerEndedError, ServerStartError

POLL_SECONDS = 0.05
SHOWN_LINES = 20


class ServerProcess:
    """One server's process, from its start until it has ended; it may be started again then."""

    def __init__(self, title: str, on_line: LineSink) -> None:
        self.title = title
        self._on_line = on_line
        self._last_lines: deque[str] = deque(maxlen=SHOWN_LINES)
        self._child: ChildProcess | None = None

    async def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        answers: Callable[[], Awaitable[bool]],
        timeout_seconds: float,
    ) -> None:
        """Start it and wait until ``answers()``.

        Raises ServerStartError with its last lines when it ends before, or says nothing in time.
        """
        self._last_lines.clear()
        self._child = await ChildProcess.start(
            command, on_line=self._take_line, cwd=cwd, env=env, pass_fds=pass_fds
        )
        try:
            async with asyncio.timeout(timeout_seconds):
                while not await answers():
                    if not self.running:
                        raise self._failure(f"ended with exit code {await self._child.wait()} at its start")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            self._child.kill_session()
            raise self._failure(f"did not answer within {timeout_seconds:g} s") from None

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.exit_code is None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._child.pid if self._child else None

    def send_signal(self, number: Signals) -> None:
        """Send it a signal, if it runs."""
        if self._child is not None:
            self._child.send_signal(number)

    async def wait(self) -> int:
        """Wait for its end; return the exit code."""
        if self._child is None:
            raise ServerStartError(f"{self.title} has not been started.")
        return await self._child.wait()

    @asynccontextmanager
    async def needed(self) -> AsyncIterator[None]:
        """Run what cannot go on without it: ends with ServerEndedError as soon as the process does."""
        task, ended = asyncio.current_task(), False
        assert task is not None  # noqa: S101 - this is a coroutine

        async def cancel_when_it_ends() -> None:
            nonlocal ended
            await self.wait()
            ended = True
            task.cancel()

        watcher = asyncio.create_task(cancel_when_it_ends())
        try:
            yield
        except asyncio.CancelledError:
            if ended and task.uncancel() == 0:
                raise self._ended() from None
            raise
        finally:
            watcher.cancel()

    async def refuse_ended(self, *, within_seconds: float) -> None:
        """Raise ServerEndedError if the process has ended, or ends so soon."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while self.running:
                    await asyncio.sleep(POLL_SECONDS)
        if not self.running:
            raise self._ended()

    async def stop(self, *, with_signal: Signals, grace_seconds: float) -> None:
        """Ask it to end; after ``grace_seconds`` kill it with all that it started."""
        if self._child is not None:
            await self._child.stop(with_signal=with_signal, grace_seconds=grace_seconds)

    def _ended(self) -> ServerEndedError:
        return ServerEndedError(f"{self.title} ended meanwhile. It is started again by itself.")

    def _take_line(self, line: str) -> None:
        self._last_lines.append(line)
        self._on_line(line)

    def _failure(self, what: str) -> ServerStartError:
        lines = "\n".join(f"  {line}" for line in self._last_lines) or "  (none)"
        return ServerStartError(f"{self.title} {what}. Its last lines:\n{lines}")
