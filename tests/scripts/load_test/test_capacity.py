"""The search for a capacity, against servers of which it is known; and how one round is judged."""

import asyncio
import random
from collections.abc import Callable

import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_still

from statehouse.scripts.load_test import OpenLoop, run_load
from statehouse.scripts.load_test.capacity import (
    CONFIRMING_ROUNDS,
    RESOLUTION,
    SearchInterrupted,
    Trial,
    find_capacity,
    judge,
)
from statehouse.scripts.load_test.histogram import Latency

LATENCY = Latency(1, 0.01, 0.01, 0.01, 0.01, 0.01)


def server_of(capacity: float, *, noise: Callable[[], float] = lambda: 1.0) -> Callable[[float], Trial]:
    def measure(rate: float) -> Trial:
        problem = None if rate <= capacity * noise() else "p99 is over the limit"
        return Trial(rate, rate, 0, LATENCY, problem)

    return measure


@pytest.mark.parametrize("capacity", [3.7, 99, 100, 101, 777, 12_345])
@pytest.mark.parametrize("start", [50.0, 100.0, 5_000.0])
def test_it_finds_what_the_server_can_do(capacity: float, start: float) -> None:
    found = find_capacity(server_of(capacity), 0.05, start)
    assert found.rate_per_second is not None
    assert capacity / RESOLUTION**1.2 <= found.rate_per_second <= capacity
    assert sum(trial.holds for trial in found.confirming) >= CONFIRMING_ROUNDS
    assert len(found.trials) < 60


def test_a_round_that_noise_has_spoilt_does_not_end_the_search() -> None:
    rng = random.Random(5)
    found = find_capacity(server_of(1_000, noise=lambda: 0.2 if rng.random() < 0.1 else 1.0), 0.05, 100)
    assert found.rate_per_second is not None
    assert found.rate_per_second >= 700


def test_a_round_that_luck_has_passed_is_not_told() -> None:
    rng = random.Random(7)
    found = find_capacity(server_of(1_000, noise=lambda: 3.0 if rng.random() < 0.2 else 1.0), 0.05, 100)
    assert found.rate_per_second is not None
    confirmed = [trial for trial in found.confirming if trial.holds]
    assert len(confirmed) >= CONFIRMING_ROUNDS
    assert sum(not trial.holds for trial in found.confirming) <= 1


def test_a_server_that_keeps_no_rate_has_no_capacity() -> None:
    found = find_capacity(server_of(0.5), 0.05, 100)
    assert found.rate_per_second is None
    assert found.confirming == ()
    assert found.to_plain()["capacity_per_second"] is None


def test_a_search_that_is_interrupted_tells_what_had_held() -> None:
    rounds = [server_of(250)] * 3

    def measure(rate: float) -> Trial:
        if not rounds:
            raise SearchInterrupted
        return rounds.pop()(rate)

    found = find_capacity(measure, 0.05, 100)
    assert (found.rate_per_second, found.interrupted, len(found.trials)) == (200, True, 3)
    assert find_capacity(measure, 0.05, 100).rate_per_second is None


def test_the_generator_is_named_when_it_ended_the_search() -> None:
    def measure(rate: float) -> Trial:
        good = rate <= 400
        return Trial(
            rate, rate, 0, LATENCY, None if good else "p99 is over the limit", generator_bound=not good
        )

    assert find_capacity(measure, 0.05, 100).generator_bound
    assert not find_capacity(server_of(400), 0.05, 100).generator_bound


def test_a_round_is_judged_by_failures_and_by_p99_to_its_end() -> None:
    async def slower_and_slower(exchange: Exchange) -> None:
        await asyncio.sleep(0.6 if exchange.index >= 39 else 0.0)
        exchange.answer(500 if exchange.index == 3 else 200)

    async def scenario() -> None:
        async with CountingServer(slower_and_slower) as server:
            failing = await run_load(server.plan(OpenLoop(100, 0.1)))
            assert judge(failing, 10).problem == "1 of 10 failed"
            growing = await run_load(server.plan(OpenLoop(100, 0.3)))  # one of thirty is slow, the last
            assert judge(growing, 10).holds
            assert judge(growing, 0.5).problem == "p99 is over the limit"

    run_still(scenario())
