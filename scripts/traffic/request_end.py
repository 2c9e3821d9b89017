"""How one request ended, as the front says it in one line (log-format in haproxy.cfg)."""

from __future__ import annotations

from dataclasses import dataclass

FIELDS = 12
CLIENT_GONE = "client-gone"
OTHER = "other"
_ABSENT = "-"
ENDED_BY_CLIENT = "C"


@dataclass(frozen=True)
class RequestEnd:
    """One request; texts are empty where there is nothing to say."""

    status: int
    milliseconds: int
    ended: str  # HAProxy's termination state
    how: str  # default, explicit; uncounted: one of ours
    problem: str
    request_id: str
    trace_id: str
    client: str  # whose key it had; empty where none is asked for
    name: str
    version: str
    method: str
    path: str

    @property
    def client_gone(self) -> bool:
        """Whether the client hung up before its answer."""
        return self.ended.startswith(ENDED_BY_CLIENT)

    @property
    def counted(self) -> bool:
        """Whether a client asked for it."""
        return self.how != "uncounted"

    @property
    def is_problem(self) -> bool:
        """Whether it was not answered well."""
        return self.client_gone or not 100 <= self.status < 400

    @property
    def kind(self) -> str:
        """The type of its problem."""
        return CLIENT_GONE if self.client_gone else self.problem or OTHER


def read_request_end(line: str) -> RequestEnd | None:
    """Read one line; None where it is none of ours."""
    words = ["" if word == _ABSENT else word for word in line.split(" ", FIELDS - 1)]
    if len(words) != FIELDS:
        return None
    try:
        status, milliseconds = int(words[0]), int(words[1])
    except ValueError:
        return None
    return RequestEnd(status, milliseconds, *words[2:])
