"""What HAProxy has counted, as its `show stat` and `show table` say it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import NamedTuple

# As the rules of front.cfg name what they track; what is `uncounted` or sent `again` was asked for by no client.
_TRACKED = re.compile(
    r"key=(?P<name>[^/\s]+)/(?P<version>[^/\s]+)-g(?P<generation>\d+)/(?P<how>default|explicit) "
    r"use=(?P<in_flight>\d+) .*\bhttp_req_cnt=(?P<requests>\d+)"
)
_CLIENT = re.compile(
    r"key=(?P<name>\S+) use=(?P<in_flight>\d+) .*\bgpc0=(?P<accepted>\d+) gpc1=(?P<refused>\d+)"
)
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")


class Tracked(NamedTuple):
    """Requests to one version, as it was loaded one time, that were asked for in one way (`default`, `explicit`)."""

    name: str
    version: str
    generation: int
    how: str


class ClientRequests(NamedTuple):
    """What one client has sent: let through, refused by its limits, and without an answer yet."""

    accepted: int
    refused: int
    in_flight: int


@dataclass(frozen=True)
class FrontStatistics:
    """One look at the front. ``totals`` only grow while HAProxy lives; the other figures are of this moment."""

    totals: dict[str, int]
    responses: dict[str, int]  # by class of status
    connections: int
    connection_limit: int
    queued: int
    requests: dict[Tracked, int]
    in_flight: dict[Tracked, int]
    clients: dict[str, ClientRequests]


def read_statistics(stat: str, table: str, clients_table: str) -> FrontStatistics:
    """Read the answers to ``show stat``, ``show table inflight`` and ``show table clients``."""
    rows = {
        (row["pxname"], row["svname"]): row for row in csv.DictReader(stat.removeprefix("# ").splitlines())
    }
    clients, served = rows["clients", "FRONTEND"], rows["predictions", "BACKEND"]
    tracked = [(_key(found), found) for found in map(_TRACKED.search, table.splitlines()) if found]
    return FrontStatistics(
        totals={
            "connections": int(clients["stot"]),
            "connections_refused": int(clients["dcon"]),
            "received_bytes": int(clients["bin"]),
            "sent_bytes": int(clients["bout"]),
            "retries": int(served["wretr"]),
            "resent": int(rows["again", "FRONTEND"]["req_tot"]),
            "connection_errors": int(served["econ"]),
            "answer_errors": int(served["eresp"]),
            "client_aborts": int(served["cli_abrt"]),
        },
        responses={name: int(clients[f"hrsp_{name}"]) for name in CLASSES},
        connections=int(clients["scur"]),
        connection_limit=int(clients["slim"]),
        queued=int(served["qcur"]),
        requests={key: int(found["requests"]) for key, found in tracked},
        in_flight={key: int(found["in_flight"]) for key, found in tracked},
        clients=_clients(clients_table),
    )


def _key(found: re.Match[str]) -> Tracked:
    return Tracked(found["name"], found["version"], int(found["generation"]), found["how"])


def _clients(table: str) -> dict[str, ClientRequests]:
    found = filter(None, map(_CLIENT.search, table.splitlines()))
    return {
        each["name"]: ClientRequests(int(each["accepted"]), int(each["refused"]), int(each["in_flight"]))
        for each in found
    }
