"""The closed loop: each connection sends its next request when its last one is answered.

It finds out how much a server can do; what it says of latency is true only of clients that wait as these do.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from statehouse.scripts.load_test.arrivals import ClosedLoop, Share
from statehouse.scripts.load_test.connection import Connection
from statehouse.scripts.load_test.errors import ErrorKind
from statehouse.scripts.load_test.pool import Pool
from statehouse.scripts.load_test.recorder import Recorder

RECONNECT_SECONDS = 0.1  # after a connection could not be made
BEAT_SECONDS = 0.01


class ClosedLoopDriver:
    """Keeps ``connections`` busy until the time is over; latency counts from the actual send."""

    def __init__(
        self,
        arrivals: ClosedLoop,
        requests: Sequence[bytes],
        recorder: Recorder,
        pool: Pool,
        share: Share,
        *,
        is_open_ended: bool,
    ) -> None:
        self._connections = share.of_connections(arrivals.connections)
        self._first_body = share.index
        self._requests = requests
        self._recorder = recorder
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._end = math.inf if is_open_ended else recorder.started + arrivals.duration_seconds
        self._begun = 0

    @property
    def planned_count(self) -> int:
        """See Driver."""
        return self._begun

    def start(self) -> None:
        """See Driver."""
        self._loop.call_at(self._recorder.started, self._open_all)

    def free(self, connection: Connection) -> None:
        """See Driver."""
        now = self._loop.time()
        if now < self._end and not connection.is_closing:
            request = self._requests[(self._first_body + self._begun) % len(self._requests)]
            self._begun += 1
            self._pool.send(connection, request, now, now)

    def lost(self, connection: Connection) -> None:
        """See Driver."""
        self._open()

    def not_connected(self, kind: ErrorKind) -> None:
        """See Driver; it counts as a request, or a server that is down would look like one without load."""
        now = self._loop.time()
        self._begun += 1
        self._recorder.failed(kind, now, now)
        self._loop.call_later(RECONNECT_SECONDS, self._open)

    def sweep(self, now: float) -> None:
        """See Driver."""

    def end_at(self, at: float) -> None:
        """See Driver."""
        self._end = min(self._end, at)

    def stop(self) -> None:
        """See Driver."""
        self._end = min(self._end, self._loop.time())

    def is_finished(self, now: float) -> bool:
        """See Driver."""
        return now >= self._end and not self._pool.in_flight_count

    def _open_all(self) -> None:
        for _ in range(self._connections):
            self._open()
        self._beat(self._loop.time())

    def _open(self) -> None:
        if self._loop.time() < self._end:
            self._pool.open()

    def _beat(self, due: float) -> None:
        """Count how late the generator is, as nothing else here is due at a known time."""
        now = self._loop.time()
        self._recorder.late(now - due)
        if now < self._end:
            self._loop.call_at(now + BEAT_SECONDS, self._beat, now + BEAT_SECONDS)
