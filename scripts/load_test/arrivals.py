"""When the requests of a load are due: by the clock (open loop), or each when the last is answered (closed)."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

MAX_REQUESTS = 20_000_000  # a schedule and what became of it are held in memory: 46 bytes per request
MAX_CONNECTIONS = 10_000
DEFAULT_OPEN_CONNECTIONS = 256


@dataclass(frozen=True)
class Constant:
    """Evenly spaced."""

    def told(self, rate_per_second: float) -> str:
        """Return it for people."""
        return f"{rate_per_second:,g} per second"

    def count(self, rate_per_second: float, duration_seconds: float) -> int:
        """Return how many requests there are."""
        return round(rate_per_second * duration_seconds)

    def offsets_seconds(self, rate_per_second: float, duration_seconds: float) -> array[float]:
        """Return when each request is due, in seconds from the start, ascending."""
        count = self.count(rate_per_second, duration_seconds)
        return array("d", (index / rate_per_second for index in range(count)))


@dataclass(frozen=True)
class Poisson(Constant):
    """At random, as from many clients that know nothing of each other; the number is exact all the same.

    A Poisson process that is known to have had so many arrivals had each of them anywhere, independently.
    """

    seed: int = 0

    def told(self, rate_per_second: float) -> str:
        """See Constant."""
        return f"Poisson, {rate_per_second:,g} per second on average"

    def offsets_seconds(self, rate_per_second: float, duration_seconds: float) -> array[float]:
        """See Constant."""
        rng = random.Random(self.seed)  # noqa: S311 - arrivals, not secrets
        count = self.count(rate_per_second, duration_seconds)
        return array("d", sorted(rng.uniform(0, duration_seconds) for _ in range(count)))


@dataclass(frozen=True)
class Ramp(Constant):
    """From the rate to another one, in a straight line."""

    to_per_second: float

    def told(self, rate_per_second: float) -> str:
        """See Constant."""
        return f"from {rate_per_second:,g} to {self.to_per_second:,g} per second"

    def count(self, rate_per_second: float, duration_seconds: float) -> int:
        """See Constant."""
        return round((rate_per_second + self.to_per_second) / 2 * duration_seconds)

    def offsets_seconds(self, rate_per_second: float, duration_seconds: float) -> array[float]:
        """See Constant; the index-th request is due when the line's integral reaches index."""
        growth = (self.to_per_second - rate_per_second) / duration_seconds
        count = self.count(rate_per_second, duration_seconds)
        # The root of growth/2 t² + rate t = index, written so that no growth, or hardly any, divides by nothing.
        return array(
            "d",
            (
                2 * index / (rate_per_second + math.sqrt(max(rate_per_second**2 + 2 * growth * index, 0.0)))
                if index
                else 0.0
                for index in range(count)
            ),
        )


@dataclass(frozen=True)
class Recorded(Constant):
    """At the times that were recorded of other traffic."""

    offsets: tuple[float, ...]

    def told(self, rate_per_second: float) -> str:
        """See Constant."""
        return f"recorded, {rate_per_second:,.4g} per second on average"

    def count(self, rate_per_second: float, duration_seconds: float) -> int:
        """See Constant."""
        return len(self.offsets)

    def offsets_seconds(self, rate_per_second: float, duration_seconds: float) -> array[float]:
        """See Constant."""
        return array("d", self.offsets)


@dataclass(frozen=True)
class OpenLoop:
    """Arrivals on a schedule, whatever the server does: rate × duration requests, evenly spaced by default."""

    rate_per_second: float
    duration_seconds: float
    max_connections: int = DEFAULT_OPEN_CONNECTIONS
    pattern: Constant = Constant()

    @classmethod
    def recorded(cls, times: Sequence[float], max_connections: int = DEFAULT_OPEN_CONNECTIONS) -> OpenLoop:
        """Return the schedule of ``times``, seconds from any zero, in any order; at least one."""
        ordered = sorted(times)
        span = ordered[-1] - ordered[0]
        # The last is followed by as much as lies between two on average; so rate × duration is the number.
        duration_seconds = span * len(ordered) / (len(ordered) - 1) if span else 1.0
        pattern = Recorded(tuple(each - ordered[0] for each in ordered))
        return cls(len(ordered) / duration_seconds, duration_seconds, max_connections, pattern)

    @property
    def request_count(self) -> int:
        """How many requests there will be."""
        return self.pattern.count(self.rate_per_second, self.duration_seconds)

    @property
    def told(self) -> str:
        """What it is, for people: ``500 per second``."""
        return self.pattern.told(self.rate_per_second)

    def offsets_seconds(self) -> array[float]:
        """Return when each request is to be sent, in seconds from the start, ascending."""
        return self.pattern.offsets_seconds(self.rate_per_second, self.duration_seconds)

    def problems(self) -> list[str]:
        """Return all that is wrong with it."""
        found = _duration_problems(self.duration_seconds) + _connection_problems(self.max_connections)
        rates = [self.rate_per_second]
        if isinstance(self.pattern, Ramp):
            rates.append(self.pattern.to_per_second)
        found += [
            f"the rate is {rate:g} requests per second; expected more than 0"
            for rate in rates
            if not (math.isfinite(rate) and rate > 0)
        ]
        if not found and not 1 <= self.request_count <= MAX_REQUESTS:
            found.append(
                f"{self.told} for {self.duration_seconds:g} s are "
                f"{self.request_count} requests; expected 1 to {MAX_REQUESTS}"
            )
        return found


@dataclass(frozen=True)
class ClosedLoop:
    """Connections that each send their next request when the last one is answered."""

    connections: int
    duration_seconds: float

    @property
    def told(self) -> str:
        """What it is, for people: ``64 connections``."""
        return f"{self.connections:,} connection{'s' if self.connections != 1 else ''}"

    def problems(self) -> list[str]:
        """Return all that is wrong with it."""
        return _duration_problems(self.duration_seconds) + _connection_problems(self.connections)


@dataclass(frozen=True)
class Share:
    """The part of a load that one of ``count`` processes sends: every count-th request, from the index-th on."""

    index: int = 0
    count: int = 1

    def of_connections(self, connections: int) -> int:
        """Return how many of so many connections are this process's."""
        return connections // self.count + (self.index < connections % self.count)


@dataclass
class OpenEnd:
    """For a load that repeats its schedule until somebody says when it ends; None: not yet."""

    at_monotonic_seconds: float | None = None


def _duration_problems(seconds: float) -> list[str]:
    if math.isfinite(seconds) and seconds > 0:
        return []
    return [f"the duration is {seconds:g} s; expected more than 0"]


def _connection_problems(connections: int) -> list[str]:
    if 1 <= connections <= MAX_CONNECTIONS:
        return []
    return [f"there are {connections} connections; expected 1 to {MAX_CONNECTIONS}"]
