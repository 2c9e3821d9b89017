"""The traffic of all versions since each was loaded, as the front and TorchServe count it; both may start again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.servers.haproxy_statistics import CLASSES, FrontStatistics, Tracked
from statehouse.scripts.servers.torchserve import TorchServe
from statehouse.scripts.servers.torchserve_metrics import Measured
from statehouse.scripts.traffic.growing import Growing

Key = tuple[str, str]
# So long a look waits for either, and goes on without it.
GLANCE_SECONDS = 0.4
CLIENT_OUTCOMES = ("accepted", "refused")


Answer = TypeVar("Answer")


async def _soon(answer: Awaitable[Answer | None]) -> Answer | None:
    try:
        async with asyncio.timeout(GLANCE_SECONDS):
            return await answer
    except TimeoutError:
        return None


class Traffic:
    """Takes what was counted at each look. A version's count begins with the generation that it was loaded with."""

    response_classes = CLASSES

    def __init__(self) -> None:
        self.front: Growing[str] = Growing()
        self.front_now: dict[str, int] = {}
        self._requests: Growing[Tracked] = Growing()
        self._in_flight: dict[Tracked, int] = {}
        self._clients: Growing[tuple[str, str]] = Growing()
        self._measured: Growing[Measured] = Growing()
        self._since: dict[Key, int] = {}

    def begin(self, name: str, version: str, generation: int) -> None:
        """Count a version that is loaded from now on: what an earlier life of it counted is not its own."""
        self._since[name, version] = generation
        self._requests.keep(self._counts)
        self._measured.keep(self._counts)

    async def look(self, front: Front, torchserve: TorchServe) -> None:
        """Take what the front and TorchServe have counted by now; of one that is silent, what it said last stays."""
        statistics, measured = await asyncio.gather(_soon(front.statistics()), _soon(torchserve.measured()))
        if statistics is not None:
            self.take_front(statistics)
        if measured is not None:
            self.take_torchserve(measured)

    def take_front(self, statistics: FrontStatistics) -> None:
        """Take a look at the front."""
        classes = {f"hrsp_{name}": count for name, count in statistics.responses.items()}
        self.front.take(statistics.totals | classes)
        self.front_now = {
            "connections_open": statistics.connections,
            "connections_limit": statistics.connection_limit,
            "queued_requests": statistics.queued,
        }
        self._requests.take(
            {each: count for each, count in statistics.requests.items() if self._counts(each)}
        )
        self._in_flight = statistics.in_flight
        for outcome in CLIENT_OUTCOMES:
            counts = {(name, outcome): getattr(each, outcome) for name, each in statistics.clients.items()}
            self._clients.take(counts)

    def take_torchserve(self, measured: dict[Measured, float]) -> None:
        """Take a look at TorchServe."""
        self._measured.take({each: value for each, value in measured.items() if self._counts(each)})

    def requests(self, name: str, version: str) -> float:
        """Return how many requests clients have sent to a version."""
        return sum(self._requests[each] for each in self._requests if self._is_of(each, name, version))

    def in_flight(self, name: str, version: str) -> int:
        """Return how many of them have no answer yet."""
        return sum(
            count for each, count in self._in_flight.items() if (each.name, each.version) == (name, version)
        )

    def of_client(self, client: str, outcome: str) -> float:
        """Return how many requests of a client were ``accepted``, or ``refused`` by its limits."""
        return self._clients[client, outcome]

    def torchserve(self, figure: str, name: str, version: str) -> float:
        """Return one of TorchServe's figures of a version, in seconds where it is a time."""
        mine = (each for each in self._measured if each.figure == figure)
        return sum(self._measured[each] for each in mine if self._is_of(each, name, version))

    def _is_of(self, each: Tracked | Measured, name: str, version: str) -> bool:
        return (each.name, each.version) == (name, version) and self._counts(each)

    def _counts(self, each: Tracked | Measured) -> bool:
        # Both go on telling of what is long gone: kept, it would be a little more after every swap.
        return each.generation >= self._since.get((each.name, each.version), 0)
