"""The connections of a load, made by a function that needs no network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.errors import ErrorKind
from statehouse.scripts.load_test.pool import Pool
from statehouse.scripts.load_test.recorder import Recorder

OK = Answer(200, "1.0", True)


class Line:
    """A connection that notes what it is told."""

    def __init__(self, owner: Pool) -> None:
        self.owner = owner
        self.begun = self.intended = self.sent = 0.0
        self.in_flight = self.is_closing = False
        self.told: list[Any] = []

    def send(self, request: bytes, intended: float, now: float) -> None:
        self.in_flight, self.intended, self.sent = True, intended, now
        self.told.append(request)

    def give_up(self, kind: ErrorKind) -> None:
        self.in_flight = False
        self.owner.failed(self, kind)
        self.owner.lost(self)

    def close(self) -> None:
        self.told.append("close")


class Driver:
    """Notes what it is told of connections."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def free(self, connection: Any) -> None:
        self.told.append(("free", connection))

    def lost(self, connection: Any) -> None:
        self.told.append(("lost", connection))

    def not_connected(self, kind: ErrorKind) -> None:
        self.told.append(("not connected", kind))


async def connect_to_nobody(owner: Any) -> Line:
    line = Line(owner)
    owner.opened(line)
    return line


def with_pool(
    scenario: Callable[[Pool, Driver, Recorder], Awaitable[None]],
    connect: Callable[[Any], Awaitable[Any]] = connect_to_nobody,
    timeout_seconds: float = 5.0,
) -> None:
    async def run() -> None:
        recorder, driver = Recorder(started=0.0), Driver()
        pool = Pool(connect, timeout_seconds, recorder)
        pool.driver = driver  # type: ignore[assignment]
        await scenario(pool, driver, recorder)

    asyncio.run(run())


async def opened(pool: Pool, driver: Driver) -> Line:
    pool.open()
    while not driver.told:
        await asyncio.sleep(0)
    [(word, line)] = driver.told
    assert word == "free"
    driver.told.clear()
    return line


def test_a_connection_is_told_to_be_free_and_carries_a_request_at_a_time() -> None:
    async def scenario(pool: Pool, driver: Driver, recorder: Recorder) -> None:
        pool.open()
        assert (pool.connecting_count, pool.size) == (1, 1)
        await asyncio.sleep(0.001)
        [(_, line)] = driver.told
        assert (pool.connecting_count, pool.size, recorder.connections_opened) == (0, 1, 1)
        assert line.begun > 0
        pool.send(line, b"x", 1.0, 2.0)
        assert (line.told, pool.in_flight_count, recorder.sent_count) == ([b"x"], 1, 1)
        pool.answered(line, OK)
        assert (pool.in_flight_count, recorder.answered_count) == (0, 1)
        samples = recorder.rows.records(0.0)
        assert (samples.due[0], samples.sent[0], samples.connected[0]) == (1.0, 2.0, line.begun)

    with_pool(scenario)


def test_what_waits_too_long_is_given_up_and_nothing_else() -> None:
    async def scenario(pool: Pool, driver: Driver, recorder: Recorder) -> None:
        line = await opened(pool, driver)
        other = await opened(pool, driver)
        pool.send(line, b"x", 1.0, 1.0)
        pool.sweep(6.0)
        assert recorder.failed_count == 0
        pool.sweep(6.1)
        assert (recorder.failed_count, pool.in_flight_count, pool.size) == (1, 0, 1)
        assert driver.told == [("lost", line)]
        assert recorder.connections_lost == 1
        assert not other.in_flight

    with_pool(scenario)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (ErrorKind.NOT_HTTP, ErrorKind.NOT_HTTP),
        (ConnectionRefusedError(), ErrorKind.CONNECTION_REFUSED),
        (OSError("no route"), ErrorKind.CONNECTION_FAILED),
        (TimeoutError(), ErrorKind.CONNECTION_TIMEOUT),
    ],
)
def test_why_there_is_no_connection_is_told(outcome: Any, kind: ErrorKind) -> None:
    async def connect(owner: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def scenario(pool: Pool, driver: Driver, recorder: Recorder) -> None:
        pool.open()
        await asyncio.sleep(0.001)
        assert driver.told == [("not connected", kind)]
        assert (pool.size, recorder.connections_opened) == (0, 0)

    with_pool(scenario, connect)


async def connect_never(owner: Any) -> Any:
    await asyncio.sleep(60)


def test_a_connection_that_is_not_made_in_time_is_told_so() -> None:
    async def scenario(pool: Pool, driver: Driver, recorder: Recorder) -> None:
        pool.open()
        await asyncio.sleep(0.03)
        assert driver.told == [("not connected", ErrorKind.CONNECTION_TIMEOUT)]

    with_pool(scenario, connect_never, timeout_seconds=0.01)


def test_at_the_end_every_connection_is_closed_and_nobody_is_told_any_more() -> None:
    async def scenario(pool: Pool, driver: Driver, recorder: Recorder) -> None:
        line = await opened(pool, driver)
        pool._make_connection = connect_never
        pool.open()
        await asyncio.sleep(0)
        await pool.close()
        assert line.told == ["close"]
        assert pool.connecting_count == 0
        pool.free(line)
        assert line.told == ["close", "close"]
        pool.lost(line)
        assert (driver.told, recorder.connections_lost) == ([], 0)

    with_pool(scenario)
