"""What a load will be, all of it decided before the first request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from urllib.parse import urlsplit

from statehouse.scripts.access.front_door import FrontDoor
from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenLoop
from statehouse.scripts.load_test.errors import LoadPlanError

DEFAULT_TIMEOUT_SECONDS = 10.0


class Body(NamedTuple):
    """What one request carries."""

    content: bytes
    content_type: str


@dataclass(frozen=True)
class GrpcCall:
    """Whom a request asks over TorchServe's gRPC: a model's default version."""

    model: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class LoadPlan:
    """Where to, what, how often.

    ``bodies`` are sent in turn, as POST. ``timeout_seconds`` is how long a request waits for its answer, and
    a connection for being made; ``max_wait_seconds`` (the same, if None) is how long a request that is due
    waits for a free connection before it counts as unsent. With ``grpc`` requests go there by that protocol,
    and ``path`` is only told. LoadPlanError names every problem.
    """

    host: str
    port: int
    path: str
    bodies: tuple[Body, ...]
    arrivals: OpenLoop | ClosedLoop
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    max_wait_seconds: float | None = None
    grpc: GrpcCall | None = None
    door: FrontDoor | None = None  # where TLS, a key or a private socket is the way in

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

    @classmethod
    def for_door(
        cls, door: FrontDoor, path: str, bodies: Sequence[Body], arrivals: OpenLoop | ClosedLoop
    ) -> LoadPlan:
        """Return a plan for ``path`` behind the front's door."""
        plan = cls.for_url(f"http://{urlsplit(door.url).netloc}{path}", bodies, arrivals)
        return replace(plan, door=door)

    @property
    def url(self) -> str:
        """Where the requests go."""
        scheme = "https" if self.door and self.door.certificate else "http"
        return f"{'grpc' if self.grpc else scheme}://{self._authority}{self.path}"

    @property
    def waiting_seconds(self) -> float:
        """How long a request that is due may wait for a connection."""
        return self.timeout_seconds if self.max_wait_seconds is None else self.max_wait_seconds

    def encode_requests(self) -> tuple[bytes, ...]:
        """Return the bytes of each request, one per body."""
        if self.grpc is not None:
            from statehouse.scripts.load_test.grpc_messages import encode_request

            return tuple(encode_request(self.grpc.model, body.content) for body in self.bodies)
        return tuple(self._encode(body) for body in self.bodies)

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _encode(self, body: Body) -> bytes:
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {self._authority}\r\nuser-agent: statehouse-load-test\r\n"
            f"content-type: {body.content_type}\r\ncontent-length: {len(body.content)}\r\n"
        )
        head += (
            "".join(f"{name}: {value}\r\n" for name, value in self.door.headers.items()) if self.door else ""
        )
        head += "\r\n"
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
