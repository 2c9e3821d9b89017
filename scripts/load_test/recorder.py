"""Takes everything that happens during a load, as it happens."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.records import UNSENT, Floats, Outcome, RecordRows, Records, merge_records

_NOT_SENT = math.nan


@dataclass
class Recorder:
    """One process's load; ``started`` and all times are the event loop's, on the machine's monotonic clock.

    Every request ends as exactly one of answered, failed, unsent.
    """

    started: float
    rows: RecordRows = field(default_factory=RecordRows)
    answered_count: int = 0
    failed_count: int = 0
    sent_count: int = 0
    unsent_count: int = 0
    waited_count: int = 0
    longest_wait_seconds: float = 0.0
    connections_opened: int = 0
    connections_lost: int = 0
    reconnects: int = 0
    lateness: array[float] = field(default_factory=lambda: array("f"))

    def sent(self) -> None:
        """Count a request that was written."""
        self.sent_count += 1

    def answered(
        self, answer: Answer, intended: float, sent: float, now: float, connected: float = math.nan
    ) -> None:
        """Take an answer; ``connected`` is when its connection was begun."""
        self.answered_count += 1
        self.rows.add(Outcome(answer.status, answer.version), intended, sent, now, connected)

    def failed(
        self,
        kind: str,
        intended: float,
        now: float,
        sent: float = _NOT_SENT,
        connected: float = math.nan,
    ) -> None:
        """Take a request that will have no answer."""
        self.failed_count += 1
        self.rows.add(Outcome(None, None, kind), intended, sent, now, connected)

    def unsent(self, intended: Iterable[float], now: float) -> None:
        """Take requests that were due and were never sent."""
        for due in intended:
            self.unsent_count += 1
            self.rows.add(Outcome(None, None, UNSENT), due, _NOT_SENT, now)

    def connection_opened(self) -> None:
        """Count a connection; it is a reconnect while fewer were made again than were lost."""
        self.connections_opened += 1
        if self.reconnects < self.connections_lost:
            self.reconnects += 1

    def connection_lost(self) -> None:
        """Count a connection that was closed before the end."""
        self.connections_lost += 1

    def waited(self, seconds: float) -> None:
        """Count a request that was due before there was a connection for it."""
        self.waited_count += 1
        self.longest_wait_seconds = max(self.longest_wait_seconds, seconds)

    def late(self, seconds: float) -> None:
        """Take how late the generator itself came to do what was due."""
        self.lateness.append(seconds)

    def recording(self, *, planned: int, cpu_share: float, interrupted: bool) -> Recording:
        """Return it all, now that it is over."""
        return Recording(
            started_monotonic_seconds=self.started,
            records=self.rows.records(self.started),
            planned=planned,
            sent=self.sent_count,
            waited=self.waited_count,
            longest_wait_seconds=self.longest_wait_seconds,
            connections_opened=self.connections_opened,
            connections_lost=self.connections_lost,
            reconnects=self.reconnects,
            lateness=np.array(self.lateness),
            cpu_shares=(cpu_share,),
            interrupted=interrupted,
        )


@dataclass(frozen=True)
class Recording:
    """What one process recorded, or several: ``cpu_shares`` has one for each."""

    started_monotonic_seconds: float
    records: Records
    planned: int
    sent: int
    waited: int
    longest_wait_seconds: float
    connections_opened: int
    connections_lost: int
    reconnects: int
    lateness: NDArray[np.float32] | Floats
    cpu_shares: tuple[float, ...]
    interrupted: bool


def merge_recordings(parts: Sequence[Recording]) -> Recording:
    """Return the recordings of processes that started at the same time as one."""
    return Recording(
        started_monotonic_seconds=parts[0].started_monotonic_seconds,
        records=merge_records([part.records for part in parts]),
        planned=sum(part.planned for part in parts),
        sent=sum(part.sent for part in parts),
        waited=sum(part.waited for part in parts),
        longest_wait_seconds=max(part.longest_wait_seconds for part in parts),
        connections_opened=sum(part.connections_opened for part in parts),
        connections_lost=sum(part.connections_lost for part in parts),
        reconnects=sum(part.reconnects for part in parts),
        lateness=np.concatenate([part.lateness for part in parts]),
        cpu_shares=tuple(share for part in parts for share in part.cpu_shares),
        interrupted=any(part.interrupted for part in parts),
    )
