"""Counts everything that happens during a load, as it happens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from scripts.load_test.answer import Answer
from scripts.load_test.errors import ErrorKind
from scripts.load_test.histogram import DurationHistogram
from scripts.load_test.tally import Tally

MAX_TALLIES = 256
SERVER_ERROR = 500
OTHER_VERSIONS = "(others)"  # when a server names more versions than can be told apart

Key = tuple[int, str | None]


@dataclass
class Recorder:
    """One load's counts; ``started`` and all times are the event loop's, on the machine's monotonic clock.

    Every request ends as exactly one of answered, failed, unsent.
    """

    started: float
    tallies: dict[Key, Tally] = field(default_factory=dict)
    errors: Counter[ErrorKind] = field(default_factory=Counter)
    answered_count: int = 0
    sent_count: int = 0
    unsent_count: int = 0
    waited_count: int = 0
    longest_wait_seconds: float = 0.0
    longest_gap_seconds: float = 0.0
    longest_gap_began: float = 0.0
    connections_opened: int = 0
    connections_lost: int = 0
    reconnects: int = 0
    lateness: DurationHistogram = field(default_factory=DurationHistogram)
    # Of what failed, and of what was answered with a 5xx: when the last was sent, and when the connection was begun
    # that was begun last. Who kills a server knows by these what he may be blamed for.
    last_failed_sent: float = -math.inf
    last_failed_connected: float = -math.inf

    def __post_init__(self) -> None:
        self.ended = self.longest_gap_began = self._last_answer = self.started

    @property
    def failed_count(self) -> int:
        """How many requests got no answer, though they were sent or nothing could be connected to."""
        return self.errors.total()

    @property
    def resolved_count(self) -> int:
        """How many requests have ended, in whatever way."""
        return self.answered_count + self.failed_count + self.unsent_count

    def sent(self) -> None:
        """Count a request that was written."""
        self.sent_count += 1

    def answered(
        self, answer: Answer, intended: float, sent: float, now: float, connected: float = -math.inf
    ) -> None:
        """Count an answer; ``connected`` is when its connection was begun."""
        key = (answer.status, answer.version)
        tally = self.tallies.get(key)
        if tally is None:
            tally = self._new_tally(key)
        tally.add(intended, sent, now)
        self.answered_count += 1
        if answer.status >= SERVER_ERROR:
            self._not_served(sent, connected)
        self._end_gap(now)
        self._last_answer = self.ended = now

    def failed(
        self, kind: ErrorKind, now: float, sent: float | None = None, connected: float | None = None
    ) -> None:
        """Count a request that will have no answer; ``sent`` and ``connected`` are None where it had no connection."""
        self.errors[kind] += 1
        self.ended = now
        self._not_served(now if sent is None else sent, now if connected is None else connected)

    def unsent(self, count: int, now: float) -> None:
        """Count requests that were due, or would have been, and were never sent."""
        self.unsent_count += count
        self.ended = now

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
        """Count how late the generator itself came to do what was due."""
        self.lateness.record(seconds)

    def finish(self) -> None:
        """Take the time from the last answer to the end as a gap too."""
        self._end_gap(self.ended)

    def merged(self, keys: Iterable[Key]) -> Tally:
        """Return several tallies as one."""
        whole = Tally()
        for key in keys:
            whole.merge(self.tallies[key])
        return whole

    def _not_served(self, sent: float, connected: float) -> None:
        self.last_failed_sent = max(self.last_failed_sent, sent)
        self.last_failed_connected = max(self.last_failed_connected, connected)

    def _end_gap(self, now: float) -> None:
        gap = now - self._last_answer
        if gap > self.longest_gap_seconds:
            self.longest_gap_seconds = gap
            self.longest_gap_began = self._last_answer

    def _new_tally(self, key: Key) -> Tally:
        if len(self.tallies) >= MAX_TALLIES:
            key = (key[0], OTHER_VERSIONS)
        return self.tallies.setdefault(key, Tally())
