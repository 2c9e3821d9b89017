"""A server whose delays are known: what the load tells of it is the truth, stall included.

The truth is the server's own record of when it answered each request, against the schedule: so it holds on a busy
machine too.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from scripts.load_test import Body, LoadResult, OpenLoop, Poisson, run_load
from scripts.load_test.arrivals import Constant
from scripts.load_test.summary import longest_gap
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_async

RATE, SECONDS = 100, 6
STALL_SECONDS = 2.0
STALL_AT = 200  # the request that meets it first
WITHIN = 0.02


@dataclass
class KnownServer:
    """Answers after delays drawn beforehand; for two seconds it answers nothing at all."""

    delays: list[float]
    answered_at: dict[int, float] = field(default_factory=dict)
    stalled_until: float = 0.0

    async def __call__(self, exchange: Exchange) -> None:
        index = int(exchange.body)
        if index == STALL_AT:
            self.stalled_until = time.monotonic() + STALL_SECONDS
        await asyncio.sleep(self.delays[index])
        while (left := self.stalled_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        self.answered_at[index] = time.monotonic()
        exchange.answer()


@pytest.mark.parametrize("pattern", [Constant(), Poisson(seed=1)], ids=["constant", "poisson"])
def test_percentiles_are_the_truth_and_the_stall_is_fully_visible(pattern: Constant) -> None:
    rng = random.Random(11)
    count = RATE * SECONDS
    server = KnownServer([0.1 + rng.lognormvariate(-3, 0.8) for _ in range(count)])
    bodies = tuple(Body(str(index).encode(), "application/json") for index in range(count))
    arrivals = OpenLoop(RATE, SECONDS, pattern=pattern)
    results: list[LoadResult] = []

    async def scenario() -> None:
        async with CountingServer(server) as listening:
            results.append(await run_load(listening.plan(arrivals, bodies=bodies, timeout_seconds=60)))

    run_async(scenario())
    [result] = results
    assert result.answered == result.planned == len(server.answered_at) == count
    offsets = arrivals.offsets_seconds()
    ended = {index: at - result.started_monotonic_seconds for index, at in server.answered_at.items()}
    truth = np.array([ended[index] - offsets[index] for index in range(count)])
    latency = result.latency
    for share, told in (
        *((0.5, latency.p50_seconds), (0.9, latency.p90_seconds)),
        *((0.99, latency.p99_seconds), (0.999, latency.p99_9_seconds), (1.0, latency.max_seconds)),
    ):
        true = float(np.quantile(truth, share, method="inverted_cdf"))
        assert told == pytest.approx(true, rel=WITHIN), f"{share:.1%}"
    # The stall: nobody who came in it is forgiven, and it is a gap of its own length.
    assert latency.max_seconds is not None
    assert latency.max_seconds >= STALL_SECONDS
    due_in_it = sum(
        server.stalled_until - STALL_SECONDS
        <= result.started_monotonic_seconds + offset
        < server.stalled_until
        for offset in offsets
    )
    assert due_in_it >= RATE * STALL_SECONDS * 0.5
    waited = int((result.samples.seconds[result.samples.answered] >= STALL_SECONDS / 2).sum())
    assert waited >= int((truth >= STALL_SECONDS / 2).sum())
    true_gap, _ = longest_gap(np.array(list(ended.values())), 0.0, max(ended.values()))
    assert result.longest_gap_seconds == pytest.approx(true_gap, rel=WITHIN)
    assert result.longest_gap_seconds >= STALL_SECONDS * (1 - WITHIN)
