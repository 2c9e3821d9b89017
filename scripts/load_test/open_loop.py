"""The open loop: requests leave on their schedule, whatever the server does.

Latency counts from the intended time: a server that stalls is charged for all who would have come meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from statehouse.scripts.load_test.arrivals import OpenLoop, Share
from statehouse.scripts.load_test.connection import Connection
from statehouse.scripts.load_test.errors import ErrorKind
from statehouse.scripts.load_test.pool import Pool
from statehouse.scripts.load_test.recorder import Recorder

BATCH = 32  # after so many sends answers are read, however late the sends are
MAX_CONNECTING = 8  # making a connection costs more than sending on one: a burst should not make itself late


class OpenLoopDriver:
    """Sends each request on a free connection, or lets it wait for one up to ``max_wait_seconds``."""

    def __init__(
        self,
        arrivals: OpenLoop,
        requests: Sequence[bytes],
        max_wait_seconds: float,
        recorder: Recorder,
        pool: Pool,
        share: Share,
        *,
        is_open_ended: bool,
    ) -> None:
        self._offsets = arrivals.offsets_seconds()  # of all processes
        self._lap_seconds = arrivals.duration_seconds
        self._share = share
        ours = len(range(share.index, len(self._offsets), share.count))
        self._count: int | None = None if is_open_ended else ours
        self._requests = requests
        self._max_connections = max(share.of_connections(arrivals.max_connections), 1)
        self._max_wait_seconds = max_wait_seconds
        self._recorder = recorder
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._next = 0
        self._idle: list[Connection] = []
        self._waiting: deque[tuple[int, float]] = deque()  # a request's index, and when it was due

    @property
    def planned_count(self) -> int:
        """See Driver; without an end it grows."""
        return self._next if self._count is None else self._count

    def start(self) -> None:
        """See Driver."""
        self._loop.call_at(self._recorder.started, self._release)

    def free(self, connection: Connection) -> None:
        """See Driver."""
        if connection.is_closing:
            return
        now = self._loop.time()
        self._drop_expired(now)
        if self._waiting:
            index, due = self._waiting.popleft()
            self._recorder.waited(now - due)
            self._send(connection, index, due, now)
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """See Driver."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._open_where_needed()

    def not_connected(self, kind: ErrorKind) -> None:
        """See Driver; the request that has waited longest is the one that this connection was for."""
        if self._waiting:
            _, due = self._waiting.popleft()
            self._recorder.failed(kind, due, self._loop.time())
        self._open_where_needed()

    def sweep(self, now: float) -> None:
        """See Driver."""
        self._drop_expired(now)
        self._open_where_needed()

    def end_at(self, at: float) -> None:
        """See Driver."""
        if self._count is None:
            self._count = self._next
            while self._due(self._count) < at:
                self._count += 1

    def stop(self) -> None:
        """See Driver; what was due by now and waits is never sent, and what would have been due later is no part."""
        self._recorder.unsent((due for _, due in self._waiting), self._loop.time())
        self._waiting.clear()
        self._count = self._next

    def is_finished(self, now: float) -> bool:
        """See Driver."""
        return self._next == self._count and not self._waiting and not self._pool.in_flight_count

    def _release(self) -> None:
        for _ in range(BATCH):
            if self._next == self._count:
                return
            due = self._due(self._next)
            now = self._loop.time()
            if due > now:
                self._loop.call_at(due, self._release)
                return
            self._recorder.late(now - due)
            self._begin(self._next, due, now)
            self._next += 1
        self._loop.call_soon(self._release)

    def _due(self, index: int) -> float:
        lap, at = divmod(index * self._share.count + self._share.index, len(self._offsets))
        return self._recorder.started + lap * self._lap_seconds + self._offsets[at]

    def _begin(self, index: int, due: float, now: float) -> None:
        while self._idle:
            connection = self._idle.pop()  # the one used last: its caches are warm, and the others may rest
            if not connection.is_closing:
                self._send(connection, index, due, now)
                return
        self._waiting.append((index, due))
        self._open_where_needed()

    def _send(self, connection: Connection, index: int, due: float, now: float) -> None:
        of_all = index * self._share.count + self._share.index
        self._pool.send(connection, self._requests[of_all % len(self._requests)], due, now)

    def _open_where_needed(self) -> None:
        needed = min(len(self._waiting), MAX_CONNECTING)
        if self._pool.connecting_count < needed and self._pool.size < self._max_connections:
            self._pool.open()

    def _drop_expired(self, now: float) -> None:
        while self._waiting and now - self._waiting[0][1] > self._max_wait_seconds:
            _, due = self._waiting.popleft()
            self._recorder.unsent([due], now)
