"""What a load found. All times are seconds; offsets count from the start of the load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenLoop
from statehouse.scripts.load_test.histogram import DurationHistogram, Latency
from statehouse.scripts.load_test.plan import LoadPlan
from statehouse.scripts.load_test.records import Floats, Records

__all__ = ["GeneratorHealth", "Latency", "LoadResult", "VersionAnswers"]

# Beyond these the generator, and not the server, may be what was measured.
LATE_SECONDS = 0.005
BUSY_SHARE = 0.9


@dataclass(frozen=True)
class VersionAnswers:
    """The answers that one version gave; ``version`` is None for those that name none.

    ``longest_gap_seconds`` lies between two of them. After a swap at offset t, ``last_sent_seconds`` of the old
    version tells if anything sent later got there.
    """

    version: str | None
    answers: int
    statuses: Mapping[int, int]
    latency: Latency
    longest_gap_seconds: float
    slowest_intended_send_seconds: float
    first_intended_send_seconds: float
    last_intended_send_seconds: float
    last_sent_seconds: float
    first_answer_seconds: float
    last_answer_seconds: float

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        rounded = {name: round(value, 6) for name, value in vars(self).items() if name.endswith("_seconds")}
        return {
            "version": self.version,
            "answers": self.answers,
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "latency": self.latency.to_plain(),
            **rounded,
        }


@dataclass(frozen=True)
class GeneratorHealth:
    """Whether the generator kept up.

    ``lateness``: how late it came to each send that was due (open loop), or to a timer of its own that is due
    100 times a second (closed loop).
    ``cpu_shares``: how much of one core each of its processes used.
    """

    lateness: Latency
    cpu_shares: tuple[float, ...]

    @property
    def cpu_share(self) -> float:
        """How much of one core the busiest process used."""
        return max(self.cpu_shares)

    @property
    def bottleneck(self) -> str | None:
        """Why the generator, and not the server, may be what was measured; None when it kept up."""
        p99 = self.lateness.p99_seconds or 0.0
        if p99 > LATE_SECONDS:
            return (
                f"it came {p99 * 1e3:.1f} ms late at p99: latencies contain that. "
                "Send less, or give it a core of its own."
            )
        if self.cpu_share > BUSY_SHARE:
            return (
                f"it used {self.cpu_share:.0%} of a core: the server may be able to do more than this. "
                "Give it more --processes."
            )
        return None

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "lateness": self.lateness.to_plain(),
            "processes": len(self.cpu_shares),
            "cpu_share": round(self.cpu_share, 3),
            "bottleneck": self.bottleneck,
        }


@dataclass(frozen=True)
class LoadResult:
    """``planned`` = ``answered`` + all ``errors`` + ``unsent``; latency is of the answered, of any status.

    ``started_*``: the offsets' zero, on the wall clock and on the monotonic clock that a machine's processes
    share. ``elapsed_seconds``: until the last request ended. ``interrupted``: it was stopped before its time, and
    what was due later is not in it.
    ``waited``: requests that were due before a connection was free. ``connections_lost``: closed before the
    end, by either side; ``reconnects``: those opened instead. ``records`` has each request.
    """

    plan: LoadPlan
    started_unix_seconds: float
    started_monotonic_seconds: float
    elapsed_seconds: float
    interrupted: bool
    planned: int
    sent: int
    answered: int
    errors: Mapping[str, int]
    unsent: int
    statuses: Mapping[int, int]
    versions: tuple[VersionAnswers, ...]
    latency: Latency
    slowest_intended_send_seconds: float | None
    longest_gap_seconds: float
    longest_gap_began_seconds: float
    waited: int
    longest_wait_seconds: float
    connections_opened: int
    connections_lost: int
    reconnects: int
    generator: GeneratorHealth
    records: Records

    @property
    def last_failed_sent_seconds(self) -> float | None:
        """When the last was sent that got no answer or a 5xx: who kills a server knows by it what is his."""
        return self._last_not_served(self.records.sent)

    @property
    def last_failed_connected_seconds(self) -> float | None:
        """When the connection was begun that was begun last, of those."""
        return self._last_not_served(self.records.connected)

    def _last_not_served(self, when: Floats) -> float | None:
        failed = self.records.not_served
        known = np.where(np.isnan(when), self.records.ended, when)[failed]
        return float(known.max()) if len(known) else None

    @property
    def answers_per_second(self) -> float:
        """Answers over the planned duration, or over the time it took when that is longer."""
        planned = 0.0 if self.interrupted else self.plan.arrivals.duration_seconds
        seconds = max(planned, self.elapsed_seconds)
        return self.answered / seconds if seconds else 0.0

    @property
    def failed(self) -> int:
        """How many requests got anything but a 2xx: no answer, another status, or never sent."""
        good = sum(count for status, count in self.statuses.items() if 200 <= status < 300)
        return self.planned - good

    def version(self, version: str | None) -> VersionAnswers | None:
        """Return what one version answered, None when it answered nothing."""
        return next((found for found in self.versions if found.version == version), None)

    def to_plain(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "load": _plain_plan(self.plan),
            "started_unix_seconds": round(self.started_unix_seconds, 6),
            "started_monotonic_seconds": round(self.started_monotonic_seconds, 6),
            "elapsed_seconds": round(self.elapsed_seconds, 6),
            "interrupted": self.interrupted,
            "planned": self.planned,
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failed,
            "unsent": self.unsent,
            "errors": dict(self.errors),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "answers_per_second": round(self.answers_per_second, 3),
            "latency": self.latency.to_plain(),
            "histogram": DurationHistogram(self.records.seconds[self.records.answered]).encoded(),
            "slowest_intended_send_seconds": _rounded(self.slowest_intended_send_seconds),
            "longest_gap_seconds": round(self.longest_gap_seconds, 6),
            "longest_gap_began_seconds": round(self.longest_gap_began_seconds, 6),
            "versions": [version.to_plain() for version in self.versions],
            "waited": self.waited,
            "longest_wait_seconds": round(self.longest_wait_seconds, 6),
            "connections": {
                "opened": self.connections_opened,
                "lost": self.connections_lost,
                "reconnects": self.reconnects,
            },
            "generator": self.generator.to_plain(),
        }


def _plain_plan(plan: LoadPlan) -> dict[str, Any]:
    return {
        "url": plan.url,
        **_plain_arrivals(plan.arrivals),
        "timeout_seconds": plan.timeout_seconds,
        "max_wait_seconds": plan.waiting_seconds,
        "bodies": len(plan.bodies),
    }


def _plain_arrivals(arrivals: OpenLoop | ClosedLoop) -> dict[str, Any]:
    if isinstance(arrivals, ClosedLoop):
        return {"loop": "closed", **vars(arrivals)}
    pattern = arrivals.pattern
    plain = {key: value for key, value in vars(arrivals).items() if key != "pattern"}
    of_pattern = {key: value for key, value in vars(pattern).items() if key != "offsets"}
    return {"loop": "open", "arrivals": type(pattern).__name__.lower(), **plain, **of_pattern}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
