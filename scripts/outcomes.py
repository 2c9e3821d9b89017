"""How the requests of a watched model end: one line of the front's per request, while a change runs."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from scripts.local_http import unix_listener

RECEIVE_BYTES = 1 << 16
_ENDED_BY_CLIENT = "C"


@dataclass
class Outcomes:
    """What became of the requests to one version; latencies in whole milliseconds, as HAProxy has them."""

    served: int = 0
    failed: int = 0
    gone: int = 0  # the client hung up before its answer
    latencies_ms: Counter[int] = field(default_factory=Counter)

    def add(self, status: int, latency_ms: int, ended: str) -> None:
        """Take one request; 4xx are the client's and count as served."""
        if ended.startswith(_ENDED_BY_CLIENT):
            self.gone += 1
            return
        if status >= 500 or status < 100:
            self.failed += 1
        else:
            self.served += 1
        self.latencies_ms[latency_ms] += 1

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(
            self.served + other.served,
            self.failed + other.failed,
            self.gone + other.gone,
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
    """Receives in a thread of its own, so that a busy event loop loses none."""

    def __init__(self, path: Path) -> None:
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

    def _receive(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._read, args=(connection,), name="outcomes", daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        rest = b""
        with connection, contextlib.suppress(ConnectionError):  # a front that is killed starts again
            while received := connection.recv(RECEIVE_BYTES):
                *lines, rest = (rest + received).split(b"\n")
                with self._lock:
                    for line in lines:
                        self._take_line(line.decode("ascii", errors="replace").split())

    def _take_line(self, words: list[str]) -> None:
        # As log-format in front.cfg: name, version, how, status, milliseconds, how the session ended.
        if len(words) != 6:
            return
        name, version, _, status, latency_ms, ended = words
        if name in self._watched:
            self._watched[name][version].add(int(status), int(latency_ms), ended)
