"""A server whose delays are known: what the load tells of it is the truth, stall included.

The truth is the server's own record of when it answered each request, against the schedule. In real time a busy machine
may keep an answer from the generator for a while, so that what is told may be more than the truth, never less. In
`StillLoop`, whose clock stands while anything is to be done, it is the same within 2 %, however busy the machine is.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange
from tests.scripts.load_test.still_loop import StillLoop

from statehouse.scripts.load_test import Body, LoadResult, OpenLoop, Poisson, run_load
from statehouse.scripts.load_test.arrivals import Constant
from statehouse.scripts.load_test.precise_loop import precise_loop
from statehouse.scripts.load_test.summary import longest_gap

RATE, SECONDS = 100, 6
STALL_SECONDS = 2.0
STALL_AT = 200  # the request that meets it first
WITHIN = 0.02
ROUNDED = 0.002  # three digits


@dataclass
class KnownServer:
    """Answers after delays drawn beforehand; for two seconds it answers nothing at all."""

    delays: list[float]
    answered_at: dict[int, float] = field(default_factory=dict)
    stalled_until: float = 0.0

    async def __call__(self, exchange: Exchange) -> None:
        index = int(exchange.body)
        if index == STALL_AT:
            self.stalled_until = asyncio.get_running_loop().time() + STALL_SECONDS
        await asyncio.sleep(self.delays[index])
        while (left := self.stalled_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
        self.answered_at[index] = asyncio.get_running_loop().time()
        exchange.answer()


def run_known(
    pattern: Constant, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> tuple[KnownServer, LoadResult, list[float]]:
    """Return the server, what the load told of it, and the latency that each request truly had."""
    rng = random.Random(11)
    count = RATE * SECONDS
    server = KnownServer([0.1 + rng.lognormvariate(-3, 0.8) for _ in range(count)])
    bodies = tuple(Body(str(index).encode(), "application/json") for index in range(count))
    arrivals = OpenLoop(RATE, SECONDS, pattern=pattern)
    results: list[LoadResult] = []

    async def scenario() -> None:
        async with CountingServer(server) as listening:
            results.append(await run_load(listening.plan(arrivals, bodies=bodies, timeout_seconds=60)))

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())
    [result] = results
    assert result.answered == result.planned == len(server.answered_at) == count
    started = result.started_monotonic_seconds
    offsets = arrivals.offsets_seconds()
    return server, result, [server.answered_at[index] - started - offsets[index] for index in range(count)]


def told_and_true(result: LoadResult, truth: list[float]) -> list[tuple[float, float]]:
    latency = result.latency
    told = (
        latency.p50_seconds,
        latency.p90_seconds,
        latency.p99_seconds,
        latency.p99_9_seconds,
        latency.max_seconds,
    )
    true = np.quantile(truth, (0.5, 0.9, 0.99, 0.999, 1.0), method="inverted_cdf").tolist()
    return [(one or 0.0, other) for one, other in zip(told, true, strict=True)]


PATTERNS = pytest.mark.parametrize("pattern", [Constant(), Poisson(seed=1)], ids=["constant", "poisson"])


@PATTERNS
def test_percentiles_are_the_truth_and_the_stall_is_fully_visible(pattern: Constant) -> None:
    server, result, truth = run_known(pattern, StillLoop)
    for told, true in told_and_true(result, truth):
        assert told == pytest.approx(true, rel=WITHIN)
    # The stall: nobody who came in it is forgiven, and it is a gap of its own length.
    offsets = result.plan.arrivals.offsets_seconds()  # type: ignore[union-attr]
    stalled = server.stalled_until - STALL_SECONDS - result.started_monotonic_seconds
    due_in_it = [offset for offset in offsets if stalled <= offset < stalled + STALL_SECONDS]
    assert len(due_in_it) == pytest.approx(RATE * STALL_SECONDS, rel=0.2)
    waited = result.records.seconds[np.isin(result.records.due.round(6), np.array(due_in_it).round(6))]
    assert len(waited) == len(due_in_it)
    expected = [stalled + STALL_SECONDS - offset for offset in due_in_it]
    assert all(
        seconds >= least - 0.001 for seconds, least in zip(np.sort(waited), sorted(expected), strict=True)
    )
    ended = np.array(list(server.answered_at.values())) - result.started_monotonic_seconds
    true_gap, _ = longest_gap(ended, 0.0, float(ended.max()))
    assert result.longest_gap_seconds == pytest.approx(true_gap, rel=WITHIN)
    assert result.longest_gap_seconds >= STALL_SECONDS * (1 - WITHIN)


@PATTERNS
def test_in_real_time_no_less_than_the_truth_is_told(pattern: Constant) -> None:
    _, result, truth = run_known(pattern, precise_loop)
    for told, true in told_and_true(result, truth):
        assert told >= true * (1 - ROUNDED)
    assert (result.latency.max_seconds or 0) >= STALL_SECONDS
    assert result.longest_gap_seconds > 0
