"""What a load will be, all of it decided before the first request."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from scripts.load_test.errors import LoadPlanError

MAX_REQUESTS = 50_000_000  # a schedule is held in memory, 8 bytes per request
MAX_CONNECTIONS = 10_000
DEFAULT_OPEN_CONNECTIONS = 256
DEFAULT_TIMEOUT_SECONDS = 10.0


class Body(NamedTuple):
    """What one request carries."""

    content: bytes
    content_type: str


@dataclass(frozen=True)
class OpenLoop:
    """Arrivals on a fixed schedule, whatever the server does: rate × duration requests, evenly spaced."""

    rate_per_second: float
    duration_seconds: float
    max_connections: int = DEFAULT_OPEN_CONNECTIONS

    @property
    def request_count(self) -> int:
        """How many requests there will be."""
        return round(self.rate_per_second * self.duration_seconds)

    def offsets_seconds(self) -> Sequence[float]:
        """Return when each request is to be sent, in seconds from the start, ascending."""
        return array("d", (index / self.rate_per_second for index in range(self.request_count)))

    def problems(self) -> list[str]:
        """Return all that is wrong with it."""
        found = _duration_problems(self.duration_seconds) + _connection_problems(self.max_connections)
        if not (math.isfinite(self.rate_per_second) and self.rate_per_second > 0):
            return [*found, f"the rate is {self.rate_per_second:g} requests per second; expected more than 0"]
        if not found and not 1 <= self.request_count <= MAX_REQUESTS:
            found.append(
                f"{self.rate_per_second:g} per second for {self.duration_seconds:g} s are "
                f"{self.request_count} requests; expected 1 to {MAX_REQUESTS}"
            )
        return found


@dataclass(frozen=True)
class ClosedLoop:
    """Connections that each send their next request when the last one is answered."""

    connections: int
    duration_seconds: float

    def problems(self) -> list[str]:
        """Return all that is wrong with it."""
        return _duration_problems(self.duration_seconds) + _connection_problems(self.connections)


@dataclass(frozen=True)
class LoadPlan:
    """Where to, what, how often.

    ``bodies`` are sent in turn, as POST. ``timeout_seconds`` is how long a request waits for its answer, and
    a connection for being made; ``max_wait_seconds`` (the same, if None) is how long a request that is due
    waits for a free connection before it counts as unsent. LoadPlanError names every problem.
    """

    host: str
    port: int
    path: str
    bodies: tuple[Body, ...]
    arrivals: OpenLoop | ClosedLoop
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    max_wait_seconds: float | None = None

    def __post_init__(self) -> None:
        problems = [*self._target_problems(), *self.arrivals.problems()]
        if not self.bodies:
            problems.append("there is no body to send; expected at least one")
        for name, seconds in (("timeout", self.timeout_seconds), ("longest wait", self.waiting_seconds)):
            if not (math.isfinite(seconds) and seconds > 0):
                problems.append(f"the {name} is {seconds:g} s; expected more than 0")
        if problems:
            raise LoadPlanError("This load cannot be run:", problems)

    @classmethod
    def for_url(cls, url: str, bodies: Sequence[Body], arrivals: OpenLoop | ClosedLoop) -> LoadPlan:
        """Return a plan for ``http://host[:port][/path]``; LoadPlanError when the URL is no such thing."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 80
        except ValueError as error:
            raise LoadPlanError("This load cannot be run:", [f"{url!r} is no URL: {error}"]) from error
        if parts.scheme != "http" or not host:
            problem = f"{url!r} cannot be loaded; expected a plain http://host:port/path"
            raise LoadPlanError("This load cannot be run:", [problem])
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(host, port, path, tuple(bodies), arrivals)

    @property
    def url(self) -> str:
        """Where the requests go."""
        return f"http://{self._authority}{self.path}"

    @property
    def waiting_seconds(self) -> float:
        """How long a request that is due may wait for a connection."""
        return self.timeout_seconds if self.max_wait_seconds is None else self.max_wait_seconds

    def encode_requests(self) -> tuple[bytes, ...]:
        """Return the bytes of each request, one per body."""
        return tuple(self._encode(body) for body in self.bodies)

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _encode(self, body: Body) -> bytes:
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {self._authority}\r\nuser-agent: statehouse-load-test\r\n"
            f"content-type: {body.content_type}\r\ncontent-length: {len(body.content)}\r\n\r\n"
        )
        return head.encode("latin-1") + body.content

    def _target_problems(self) -> list[str]:
        problems = []
        if not 0 < self.port < 65536:
            problems.append(f"the port is {self.port}; expected 1 to 65535")
        if not self.path.startswith("/") or not _is_one_word(self.path):
            problems.append(f"the path is {self.path!r}; expected '/', then ASCII without spaces")
        if not _is_one_word(self.host):
            problems.append(f"the host is {self.host!r}; expected a name or an address")
        problems += [
            f"the content type {body.content_type!r} cannot stand in a header"
            for body in self.bodies
            if not (body.content_type.isascii() and body.content_type.isprintable())
        ]
        return problems


def _is_one_word(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _duration_problems(seconds: float) -> list[str]:
    if math.isfinite(seconds) and seconds > 0:
        return []
    return [f"the duration is {seconds:g} s; expected more than 0"]


def _connection_problems(connections: int) -> list[str]:
    if 1 <= connections <= MAX_CONNECTIONS:
        return []
    return [f"there are {connections} connections; expected 1 to {MAX_CONNECTIONS}"]
