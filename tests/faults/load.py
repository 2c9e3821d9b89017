"""A counted load in a thread of its own: an open loop and a few clients that wait, against one model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from statehouse.scripts.load_test import (
    Body,
    ClosedLoop,
    LoadPlan,
    LoadProgress,
    LoadResult,
    OpenLoop,
    run_load,
)

LONGEST_SECONDS = 300
TIMEOUT_SECONDS = 100
# Each connection has one request in flight at most, so this is what one that is killed can fail, however busy
# the machine is: of those that come by the clock, and of four that wait for each answer.
MOST_CONNECTIONS, CLIENTS = 32, 4
MOST_IN_FLIGHT = MOST_CONNECTIONS + CLIENTS


def body_of(*inputs: float) -> Body:
    return Body(json.dumps({"inputs": [*inputs, 0.0, 0.0, 0.0, 0.0][:4]}).encode(), "application/json")


CALM = (body_of(1, 2, 3, 4),)
# Clients that wait for each answer would otherwise take all the processors: 20 ms in the worker.
UNHURRIED = (body_of(10.02, 2, 3, 4),)


@dataclass(frozen=True)
class Counted:
    """What became of all requests of one load."""

    answers: Counter[tuple[int, str | None]]  # by status and version
    errors: Counter[str]  # without an answer, by kind
    # Of what failed, on time.monotonic: when the last was sent, and when the connection of one was begun last.
    last_failed_sent: float = -math.inf
    last_failed_connected: float = -math.inf

    @property
    def statuses(self) -> Counter[int]:
        found: Counter[int] = Counter()
        for (status, _), count in self.answers.items():
            found[status] += count
        return found

    @property
    def served_by(self) -> set[str | None]:
        return {version for (status, version) in self.answers if status == 200}

    @property
    def failed(self) -> int:
        return self.answers.total() - self.statuses[200] + self.errors.total()


class CountedLoad(threading.Thread):
    """Runs from ``with`` to its end; then ``result`` accounts for every request."""

    def __init__(
        self,
        url: str,
        *,
        rate: float = 150,
        connections: int = CLIENTS,
        bodies: Sequence[Body] = CALM,
        max_connections: int = MOST_CONNECTIONS,
    ) -> None:
        super().__init__(daemon=True)
        arrivals = OpenLoop(rate, LONGEST_SECONDS, max_connections=max_connections)
        self._plans = [LoadPlan.for_url(url, bodies, arrivals)]
        if connections:
            closed = ClosedLoop(connections, LONGEST_SECONDS)
            self._plans.append(LoadPlan.for_url(url, UNHURRIED, closed))
        self._begun = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._results: list[LoadResult] = []
        self._answered = [0 for _ in self._plans]

    @property
    def answered(self) -> int:
        """How many answers there are by now."""
        return sum(self._answered)

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._results = self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> list[LoadResult]:
        self._begun.set()
        plans = [LoadPlan(**(vars(plan) | {"timeout_seconds": TIMEOUT_SECONDS})) for plan in self._plans]
        loads = [run_load(plan, self._take(index), self._over) for index, plan in enumerate(plans)]
        return list(await asyncio.gather(*loads))

    def _take(self, index: int) -> Callable[[LoadProgress], None]:
        def take(progress: LoadProgress) -> None:
            self._answered[index] = progress.answered

        return take

    def __enter__(self) -> Self:
        self.start()
        self._begun.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(RuntimeError):  # it took LONGEST_SECONDS, and is over
            self._loop.call_soon_threadsafe(self._over.set)
        self.join()
        self._loop.close()

    @property
    def result(self) -> Counted:
        answers: Counter[tuple[int, str | None]] = Counter()
        errors: Counter[str] = Counter()
        for result in self._results:
            errors.update({str(kind): count for kind, count in result.errors.items()})
            for version in result.versions:
                for status, count in version.statuses.items():
                    answers[status, version.version] += count
        return Counted(
            answers,
            errors,
            self._last(lambda result: result.last_failed_sent_seconds),
            self._last(lambda result: result.last_failed_connected_seconds),
        )

    def _last(self, of: Callable[[LoadResult], float | None]) -> float:
        found = [(result.started_monotonic_seconds, of(result)) for result in self._results]
        return max((started + since for started, since in found if since is not None), default=-math.inf)
