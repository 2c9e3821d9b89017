"""Requests that were not answered well, as the front tells of each: counted by version, and a JSON line for each.

The line goes to a file beside the deployment, of bounded size and at a bounded rate; counting goes on in any case.
Of requests that were answered well the front tells while a change runs, to judge it by them, and on request always:
then they have a file of their own.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from statehouse.handlers.worker.metrics import problem_kinds
from statehouse.scripts.deployment.journal import now_text
from statehouse.scripts.traffic.request_end import CLIENT_GONE, OTHER, RequestEnd

MAX_FILE_BYTES = 8 << 20
MAX_LINES_PER_SECOND = 200
GONE_STATUS = "499"  # as others count clients that hang up; they are told nothing


class Problem(NamedTuple):
    """One kind of problem of one version; both are empty where no version of ours was asked for."""

    name: str
    version: str
    status: str
    kind: str


# What the front, or the door of a worker before the worker has it, answers by itself.
OF_NO_VERSION = (
    ("400", "bad-http"),
    ("401", "no-key"),
    ("401", "unknown-key"),
    ("403", "not-allowed"),
    ("404", "no-such-path"),
    ("404", "no-such-model"),
    ("404", "no-such-version"),
    ("405", "method"),
    ("408", "request-timeout"),
    ("410", "retired"),
    ("413", "too-large"),
    ("429", "too-fast"),
    ("429", "too-many"),
    ("431", "headers-too-large"),
    ("502", "worker-ended"),
    ("503", "unavailable"),
    ("504", "deadline"),
    ("505", "http-version"),
    (GONE_STATUS, CLIENT_GONE),
    (OTHER, OTHER),
)
OF_A_VERSION = (
    ("400", "bad-http"),
    ("405", "method"),
    ("408", "request-timeout"),
    ("413", "too-large"),
    ("502", "worker-ended"),
    ("503", "queue-full"),
    ("503", "unavailable"),
    ("504", "deadline"),
    (GONE_STATUS, CLIENT_GONE),
    (OTHER, OTHER),
)


class Problems:
    """Takes the end of each request that the front tells of; from a thread of the receiver's.

    ``is_loaded`` says whether a version may be named. ``requests`` gets those that were answered well, if anything.
    """

    def __init__(
        self, log: RequestLog, is_loaded: Callable[[str, str], bool], requests: RequestLog | None = None
    ) -> None:
        self._log = log
        self._requests = requests
        self._is_loaded = is_loaded
        of_workers = {(str(status), kind) for status, kind in problem_kinds()}
        self._of_a_version = frozenset(of_workers.union(OF_A_VERSION))
        self._of_the_front = [
            each for each in OF_A_VERSION if each not in of_workers and each[0] not in (GONE_STATUS, OTHER)
        ]
        self._counts: Counter[Problem] = Counter()
        self._lock = threading.Lock()

    def take(self, end: RequestEnd) -> None:
        """Count a problem and write it down."""
        if not end.counted:
            return
        if not end.is_problem:
            if self._requests is not None:
                self._requests.write(end)
            return
        with self._lock:
            self._counts[self._problem(end)] += 1
        self._log.write(end)

    def _problem(self, end: RequestEnd) -> Problem:
        loaded = self._is_loaded(end.name, end.version)
        known = self._of_a_version if loaded else OF_NO_VERSION
        status, kind = GONE_STATUS if end.client_gone else str(end.status), end.kind
        if (status, kind) not in known:
            status = kind = OTHER
        return Problem(end.name if loaded else "", end.version if loaded else "", status, kind)

    def forget(self, name: str, version: str) -> None:
        """Drop a version's counts."""
        with self._lock:
            for problem in [each for each in self._counts if each[:2] == (name, version)]:
                del self._counts[problem]

    def counts(self, versions: list[tuple[str, str]]) -> Mapping[Problem, int]:
        """Return how many there were of each kind: of every kind that there can be, for these versions and for none."""
        every = [Problem("", "", *kind) for kind in OF_NO_VERSION]
        every += [Problem(*key, *kind) for key in versions for kind in sorted(self._of_a_version)]
        with self._lock:
            return {problem: self._counts[problem] for problem in every}

    def of_the_front(self, name: str, version: str) -> Mapping[str, int]:
        """Return how many requests to a version the front answered in the workers' place, by status."""
        answered: Counter[str] = Counter()
        with self._lock:
            for status, kind in self._of_the_front:
                answered[status] += self._counts[Problem(name, version, status, kind)]
        return answered


class RequestLog:
    """A file of JSON lines. A full disk, or more lines than it takes, must not keep the server from serving."""

    def __init__(self, file: Path) -> None:
        self.file = file
        # A front's last lines and its successor's first come in threads of their own.
        self._lock = threading.Lock()
        self._second = 0
        self._written = self._left_out = 0

    def write(self, end: RequestEnd) -> None:
        """Write one line, if there were not too many this second; it says how many were left out before it."""
        with self._lock:
            second = int(time.monotonic())
            if second != self._second:
                self._second, self._written = second, 0
            if self._written >= MAX_LINES_PER_SECOND:
                self._left_out += 1
                return
            self._written += 1
            left_out = {"left_out_before": self._left_out} if self._left_out else {}
            try:
                self._append(line_of(end) | left_out)
            except OSError:
                self._left_out += 1
            else:
                self._left_out = 0

    def _append(self, line: dict[str, Any]) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            size = file.tell()
        if size > MAX_FILE_BYTES:
            self.file.replace(self.file.with_name(f"{self.file.name}.1"))


def line_of(end: RequestEnd) -> dict[str, Any]:
    """Return one request as the log has it."""
    problem = {"problem": end.kind} if end.is_problem else {}
    return {
        "time": now_text(),
        "event": "problem" if end.is_problem else "request",
        "status": end.status if end.status > 0 else None,
        **problem,
        **({"client": end.client} if end.client else {}),
        "model": end.name or None,
        "version": end.version or None,
        "request_id": end.request_id or None,
        "trace_id": end.trace_id or None,
        "seconds": end.milliseconds / 1000,
        "method": end.method,
        "path": end.path,
        "ended": end.ended,
    }
