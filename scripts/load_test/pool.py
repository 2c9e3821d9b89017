"""The connections of one load: opened on demand, watched for timeouts, every outcome recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.connection import Connection, ConnectionOwner
from statehouse.scripts.load_test.errors import ErrorKind
from statehouse.scripts.load_test.recorder import Recorder

# Makes a connection to where the load goes, or says why there is none; it takes as long as it takes.
Connect = Callable[[ConnectionOwner], Awaitable[Connection | ErrorKind]]


class Driver(Protocol):
    """Decides what is sent when: an open or a closed loop."""

    @property
    def planned_count(self) -> int:
        """How many requests there are so far, sent or not."""

    def start(self) -> None:
        """Begin, at the recorder's ``started``."""

    def free(self, connection: Connection) -> None:
        """A connection can carry a request."""

    def lost(self, connection: Connection) -> None:
        """A connection is gone; what was in flight on it is recorded."""

    def not_connected(self, kind: ErrorKind) -> None:
        """A connection could not be made."""

    def sweep(self, now: float) -> None:
        """Called many times a second."""

    def end_at(self, at: float) -> None:
        """Send what is due before ``at`` and nothing more: an open end has become known."""

    def stop(self) -> None:
        """Send nothing more."""

    def is_finished(self, now: float) -> bool:
        """Whether every request has ended."""


class Pool:
    """The connections that ``connect`` makes."""

    def __init__(self, connect: Connect, timeout_seconds: float, recorder: Recorder) -> None:
        self._make_connection = connect
        self._timeout_seconds = timeout_seconds
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._connecting: set[asyncio.Task[Connection | ErrorKind]] = set()
        self._in_flight = 0
        self.driver: Driver | None = None

    @property
    def in_flight_count(self) -> int:
        """How many requests wait for their answers."""
        return self._in_flight

    @property
    def connecting_count(self) -> int:
        """How many connections are being made."""
        return len(self._connecting)

    @property
    def size(self) -> int:
        """How many connections there are, those being made included."""
        return len(self._connections) + len(self._connecting)

    def open(self) -> None:
        """Begin to make a connection; the driver is told what became of it."""
        task = self._loop.create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def send(self, connection: Connection, request: bytes, intended: float, now: float) -> None:
        """Send a request on a free connection."""
        self._in_flight += 1
        self._recorder.sent()
        connection.send(request, intended, now)

    def sweep(self, now: float) -> None:
        """Give up what has waited too long for its answer."""
        too_early = now - self._timeout_seconds
        late = [one for one in self._connections if one.in_flight and one.sent < too_early]
        for connection in late:
            connection.give_up(ErrorKind.TIMEOUT)

    async def close(self) -> None:
        """End every connection."""
        self.driver = None
        for task in self._connecting:
            task.cancel()
        for connection in self._connections:
            connection.close()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        await asyncio.sleep(0)  # sockets are closed in the loop's next round

    def opened(self, connection: Connection) -> None:
        """See ConnectionOwner."""
        self._connections.add(connection)
        self._recorder.connection_opened()

    def answered(self, connection: Connection, answer: Answer) -> None:
        """See ConnectionOwner."""
        self._in_flight -= 1
        now = self._loop.time()
        self._recorder.answered(answer, connection.intended, connection.sent, now, connection.begun)

    def failed(self, connection: Connection, kind: str) -> None:
        """See ConnectionOwner."""
        self._in_flight -= 1
        now = self._loop.time()
        self._recorder.failed(kind, connection.intended, now, connection.sent, connection.begun)

    def free(self, connection: Connection) -> None:
        """See ConnectionOwner."""
        if self.driver is None:
            connection.close()
        else:
            self.driver.free(connection)

    def lost(self, connection: Connection) -> None:
        """See ConnectionOwner."""
        self._connections.discard(connection)
        if self.driver is not None:
            self._recorder.connection_lost()
            self.driver.lost(connection)

    async def _connect(self) -> Connection | ErrorKind:
        begun = self._loop.time()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                made = await self._make_connection(self)
        except TimeoutError:
            return ErrorKind.CONNECTION_TIMEOUT
        except ConnectionRefusedError:
            return ErrorKind.CONNECTION_REFUSED
        except OSError:
            return ErrorKind.CONNECTION_FAILED
        if not isinstance(made, ErrorKind):
            made.begun = begun
        return made

    def _connected(self, task: asyncio.Task[Connection | ErrorKind]) -> None:
        self._connecting.discard(task)
        if self.driver is None or task.cancelled():
            return
        outcome = task.result()
        if isinstance(outcome, ErrorKind):
            self.driver.not_connected(outcome)
        else:
            self.driver.free(outcome)
