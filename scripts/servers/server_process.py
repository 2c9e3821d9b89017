"""A server that we run as a child: it is up once it answers, and we notice when it ends or answers no more."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from signal import Signals

from statehouse.scripts.errors import ServerEndedError, ServerStartError
from statehouse.scripts.servers.child_process import ChildProcess, LineSink

POLL_SECONDS = 0.05
SHOWN_LINES = 20
# One that runs is asked again and again. What it does not answer in time counts as silence, and the pause before it.
WATCH_PAUSE_SECONDS = 1.0
WATCH_SECONDS = 2.0
# Whoever is silent for so long is killed, and so started again. A full collection of Java's takes a few seconds.
LONGEST_SILENCE_SECONDS = 20.0
# Errors that say nothing of whom we ask: it is we who have no file descriptors or memory left.
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Ask = Callable[[], Awaitable[bool]]


class ServerProcess:
    """One server's process, from its start until it has ended; it may be started again then."""

    def __init__(self, title: str, *, on_line: LineSink, say: LineSink) -> None:
        """``on_line`` gets each line of the server's, ``say`` what we say of it."""
        self.title = title
        self._on_line = on_line
        self._say = say
        self._last_lines: deque[str] = deque(maxlen=SHOWN_LINES)
        self._child: ChildProcess | None = None
        self._watching: asyncio.Task[None] | None = None
        self._silent_seconds = 0.0

    async def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        answers: Ask,
        timeout_seconds: float,
        still_answers: Ask | None = None,
    ) -> None:
        """Start it and wait until ``answers()``; kill it once ``still_answers()`` stays false.

        Raises ServerStartError with its last lines when it ends before, or says nothing in time.
        """
        self._last_lines.clear()
        self._watch_no_more()
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
        if still_answers is not None:
            self._watching = asyncio.create_task(self._watch(self._child, still_answers))

    async def _watch(self, child: ChildProcess, still_answers: Ask) -> None:
        """Kill a server that has been silent for too long, be it stopped or stuck.

        Only questions that were asked in vain count, each by the time that it was given; those during which we, or
        the whole machine, stood still say nothing of it.
        """
        while child.exit_code is None:
            await asyncio.sleep(WATCH_PAUSE_SECONDS)
            asked = time.monotonic()
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    answered = await still_answers()
            except OSError as error:  # a TimeoutError is one
                if error.errno in _OURS:
                    continue
                answered = False
            waited_seconds = time.monotonic() - asked
            if answered:
                self._silent_seconds = 0.0
                continue
            if waited_seconds > 1.5 * WATCH_SECONDS:  # we woke late
                continue
            self._silent_seconds += WATCH_PAUSE_SECONDS + waited_seconds
            if self._silent_seconds >= LONGEST_SILENCE_SECONDS and child.exit_code is None:
                self._say(f"{self.title} {self.why_not_up}: it is killed, and started again")
                child.kill_session()
                return

    def _watch_no_more(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self._silent_seconds = 0.0

    @property
    def why_not_up(self) -> str | None:
        """What is wrong with it, to be said behind its title; None where it runs and answers."""
        if not self.running:
            return "is not running"
        return f"has not answered for {self._silent_seconds:.0f} s" if self._silent_seconds else None

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
        self._watch_no_more()  # one that drains hears no questions
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
