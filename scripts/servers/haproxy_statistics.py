"""What HAProxy has counted, as its `show stat` and `show table` say it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

# As the rules of haproxy.cfg name what they track; what is `uncounted` was asked for by no client.
_TRACKED = re.compile(
    r"key=(?P<name>[^/\s]+)/(?P<version>[^/\s]+)-g(?P<generation>\d+)/(?P<how>default|explicit) "
    r"use=(?P<in_flight>\d+) .*\bhttp_req_cnt=(?P<requests>\d+)"
)
_CLIENT = re.compile(
    r"key=(?P<name>\S+) use=(?P<in_flight>\d+) .*\bgpc0=(?P<accepted>\d+) gpc1=(?P<refused>\d+)"
)
# What slots count, and the columns that it stands in.
_OF_SLOTS = {
    "retries": "wretr",
    "connection_errors": "econ",
    "answer_errors": "eresp",
    "client_aborts": "cli_abrt",
}
AGAIN = "again"  # the server of every slot that is no worker's
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


@dataclass(frozen=True)
class DoorLoad:
    """One door now: whether requests are sent to it, and how many it has not answered."""

    up: bool
    in_flight: int


@dataclass(frozen=True)
class SlotLoad:
    """One slot now: its doors by worker, and how many requests wait for one of them."""

    doors: dict[str, DoorLoad]
    waiting: int


def read_statistics(stat: str, table: str, clients_table: str) -> FrontStatistics:
    """Read the answers to ``show stat`` (frontends and slots), ``show table inflight`` and ``show table clients``."""
    rows = _rows(stat)
    clients, again = (_row(rows, name, "FRONTEND") for name in ("clients", "again"))
    slots = [row for row in rows if row["svname"] == "BACKEND"]
    tracked = [(_key(found), found) for found in map(_TRACKED.search, table.splitlines()) if found]
    return FrontStatistics(
        totals={
            "connections": int(clients["stot"]),
            "connections_refused": int(clients["dcon"]),
            "received_bytes": int(clients["bin"]),
            "sent_bytes": int(clients["bout"]),
            **{name: sum(int(row[column]) for row in slots) for name, column in _OF_SLOTS.items()},
        },
        responses={name: int(clients[f"hrsp_{name}"]) for name in CLASSES},
        connections=int(clients["scur"]),
        connection_limit=int(clients["slim"]),
        queued=sum(int(row["qcur"]) for row in slots) + int(again["scur"]),
        requests={key: int(found["requests"]) for key, found in tracked},
        in_flight={key: int(found["in_flight"]) for key, found in tracked},
        clients=_clients(clients_table),
    )


def read_slot(stat: str) -> SlotLoad:
    """Read the answers to ``show stat`` of both backends of one slot."""
    rows = _rows(stat)
    in_flight: Counter[str] = Counter()
    for row in rows:
        in_flight[row["svname"]] += int(row["scur"] or 0)
    states = {row["svname"]: row["status"] for row in reversed(rows)}
    # Who comes while no worker is there waits in a queue of `again`'s own.
    waiting = sum(int(row["qcur"] or 0) for row in rows) + in_flight[AGAIN]
    return SlotLoad(
        {
            worker: DoorLoad(state.startswith("UP"), in_flight[worker])
            for worker, state in states.items()
            if worker not in ("BACKEND", AGAIN)
        },
        waiting,
    )


def read_waiting(stat: str) -> dict[int, int]:
    """Read how many wait in the queues of both backends of each slot."""
    waiting: Counter[int] = Counter()
    for row in _rows(stat):
        if row["svname"] == "BACKEND":
            waiting[int(row["pxname"].removeprefix("s").removesuffix("-large"))] += int(row["qcur"])
    return dict(waiting)


def _rows(stat: str) -> list[dict[str, str]]:
    """Read the answers to several questions; each begins with the names of its columns."""
    answers = re.split(r"^# ", stat, flags=re.MULTILINE)[1:]
    return [row for answer in answers for row in csv.DictReader(answer.strip().splitlines())]


def _row(rows: list[dict[str, str]], proxy: str, server: str) -> dict[str, str]:
    return next(row for row in rows if (row["pxname"], row["svname"]) == (proxy, server))


def _key(found: re.Match[str]) -> Tracked:
    return Tracked(found["name"], found["version"], int(found["generation"]), found["how"])


def _clients(table: str) -> dict[str, ClientRequests]:
    found = filter(None, map(_CLIENT.search, table.splitlines()))
    return {
        each["name"]: ClientRequests(int(each["accepted"]), int(each["refused"]), int(each["in_flight"]))
        for each in found
    }
