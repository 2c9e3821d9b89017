"""How requests end: a line of the front's per problem, and per request of a watched model while a change runs."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from statehouse.scripts.servers.local_http import unix_listener
from statehouse.scripts.traffic.request_end import ENDED_BY_CLIENT, RequestEnd, read_request_end

RECEIVE_BYTES = 1 << 16


@dataclass
class Outcomes:
    """What became of the requests to one version; latencies in whole milliseconds, as HAProxy has them."""

    served: int = 0
    failed: int = 0
    gone: int = 0  # the client hung up before its answer
    refused: int = 0  # of those that were served: 4xx
    latencies_ms: Counter[int] = field(default_factory=Counter)

    def add(self, status: int, latency_ms: int, ended: str) -> None:
        """Take one request; 4xx are the client's and count as served."""
        if ended.startswith(ENDED_BY_CLIENT):
            self.gone += 1
            return
        if status >= 500 or status < 100:
            self.failed += 1
        else:
            self.served += 1
            self.refused += status >= 400
        self.latencies_ms[latency_ms] += 1

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(
            self.served + other.served,
            self.failed + other.failed,
            self.gone + other.gone,
            self.refused + other.refused,
            self.latencies_ms + other.latencies_ms,
        )

    @property
    def answered(self) -> int:
        """How many were answered, well or not."""
        return self.served + self.failed

    @property
    def error_rate(self) -> float:
        """The share of answers that are the server's fault."""
        return self.failed / self.answered if self.answered else 0.0

    @property
    def refusal_rate(self) -> float:
        """The share of answers that are 4xx: what clients send is not what the version takes."""
        return self.refused / self.answered if self.answered else 0.0

    def told(self) -> str:
        """Return them as people read them."""
        p50, p99 = self.percentile_seconds(0.5), self.percentile_seconds(0.99)
        took = "" if p50 is None or p99 is None else f", p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
        return f"{self.answered} requests, {self.failed} failed, {self.refused} refused{took}"

    @property
    def slowest_seconds(self) -> float | None:
        """The slowest answer."""
        return max(self.latencies_ms) / 1000 if self.latencies_ms else None

    def percentile_seconds(self, share: float) -> float | None:
        """Return the latency that ``share`` of the answers did not exceed."""
        rank, passed = math.ceil(share * self.latencies_ms.total()), 0
        for latency_ms in sorted(self.latencies_ms):
            passed += self.latencies_ms[latency_ms]
            if passed >= rank:
                return latency_ms / 1000
        return None


class OutcomeReceiver:
    """Receives in a thread of its own, so that a busy event loop loses none; ``on_end`` is told of every request."""

    def __init__(self, path: Path, on_end: Callable[[RequestEnd], None]) -> None:
        self._on_end = on_end
        self._connections: list[socket.socket] = []
        self._listener = unix_listener(path)
        self._lock = threading.Lock()
        self._watched: dict[str, defaultdict[str, Outcomes]] = {}
        threading.Thread(target=self._receive, name="outcomes", daemon=True).start()

    def begin(self, name: str) -> None:
        """Count the outcomes of a model from zero."""
        with self._lock:
            self._watched[name] = defaultdict(Outcomes)

    def take(self, name: str) -> dict[str, Outcomes]:
        """Return what has been counted since the last time, by version, and count from zero."""
        with self._lock:
            counted: dict[str, Outcomes] = self._watched.get(name, defaultdict(Outcomes))
            if name in self._watched:
                self._watched[name] = defaultdict(Outcomes)
            return dict(counted)

    def end(self, name: str) -> None:
        """Count a model's outcomes no more."""
        with self._lock:
            self._watched.pop(name, None)

    def close(self) -> None:
        """Receive no more."""
        self._listener.shutdown(socket.SHUT_RD)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):  # closed by the front already
                connection.shutdown(socket.SHUT_RDWR)

    def _receive(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._connections = [each for each in self._connections if each.fileno() >= 0] + [connection]
            threading.Thread(target=self._read, args=(connection,), name="outcomes", daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        rest = b""
        with connection, contextlib.suppress(ConnectionError):  # a front that is killed starts again
            while received := connection.recv(RECEIVE_BYTES):
                *lines, rest = (rest + received).split(b"\n")
                for line in lines:
                    end = read_request_end(line.decode("ascii", errors="replace"))
                    if end is not None:
                        self._take(end)

    def _take(self, end: RequestEnd) -> None:
        with self._lock:
            if end.counted and end.name in self._watched:
                self._watched[end.name][end.version].add(end.status, end.milliseconds, end.ended)
        self._on_end(end)
