"""Conditions are read as people write them, and every one that cannot be is told at once."""

import asyncio

import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_still

from statehouse.scripts.load_test import LoadResult, OpenLoop, run_load
from statehouse.scripts.load_test.errors import FailIfError
from statehouse.scripts.load_test.fail_if import parse_conditions


@pytest.fixture(scope="module")
def result() -> LoadResult:
    """40 requests: one is never answered, one gets a 500, all take 25 ms at least."""
    found: list[LoadResult] = []

    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(0.025)
        if exchange.index == 10:
            await asyncio.sleep(60)
        exchange.answer(500 if exchange.index == 20 else 200)

    async def scenario() -> None:
        async with CountingServer(behave) as server:
            found.append(await run_load(server.plan(OpenLoop(100, 0.4), timeout_seconds=4)))

    run_still(scenario())
    return found[0]


@pytest.mark.parametrize(
    "text",
    [
        "errors > 0", "errors>=2", "errors > 1%", "timeouts > 0", "unsent < 1", "p50 > 10ms", "p99.9 > 0.01s",
        "max>=20ms", "gap > 1us", "rate < 99", "RATE < 99/s", "p90 > 500 µs", "p99 < 1m",
    ],
)  # fmt: skip
def test_a_condition_that_holds_says_what_is(result: LoadResult, text: str) -> None:
    [condition] = parse_conditions([text])
    failure = condition.failure(result)
    assert failure is not None
    assert failure.startswith(f"{text}: ")


@pytest.mark.parametrize(
    "text",
    ["errors > 2", "errors > 50%", "timeouts > 1", "unsent > 0", "p50 < 10ms", "max > 60s", "rate > 1000"],
)
def test_a_condition_that_does_not_hold_is_silent(result: LoadResult, text: str) -> None:
    [condition] = parse_conditions([text])
    assert condition.failure(result) is None


def test_a_server_that_answers_nothing_is_not_quick() -> None:
    found: list[LoadResult] = []

    async def scenario() -> None:
        async with CountingServer() as server:
            plan = server.plan(OpenLoop(50, 0.1))
        found.append(await run_load(plan))

    run_still(scenario())
    [condition] = parse_conditions(["p99 > 50ms"])
    assert condition.failure(found[0]) == "p99 > 50ms: nothing was answered"


def test_every_condition_that_cannot_be_read_is_told() -> None:
    wrong = {
        "p98 > 5ms": "'p98' is no figure",
        "p99 > 5": "the unit '' is none",
        "p99 > 5 apples": "the unit 'apples' is none",
        "errors > 5ms": "'ms' is neither",
        "rate < 5ms": "requests per second",
        "p99": "expected a figure, a comparison and a value",
        "p99 = 5ms": "expected a figure",
        "p99 > -5ms": "expected a figure",
        "errors > 2x": "only p50, p90, p99, rate have a ratio",
        "": "expected a figure",
    }
    with pytest.raises(FailIfError) as caught:
        parse_conditions([*wrong, "errors > 0"])
    assert len(caught.value.problems) == len(wrong)
    for (text, words), problem in zip(wrong.items(), caught.value.problems, strict=True):
        assert problem.startswith(repr(text))
        assert words in problem
