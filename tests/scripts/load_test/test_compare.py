"""Two versions in turn: ratios hold what is true, and noise alone fails nothing."""

import asyncio
import random

import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_still

from statehouse.scripts.load_test import ClosedLoop, LoadResult, run_load
from statehouse.scripts.load_test.compare import Comparison, _ratio, order_of
from statehouse.scripts.load_test.fail_if import parse_conditions


def test_each_goes_first_in_every_other_pair() -> None:
    assert order_of(4) == [False, True, True, False, False, True, True, False]


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    rng = random.Random(2)
    held = 0
    for _ in range(400):
        pairs = [(rng.lognormvariate(0, 0.2), 1.3 * rng.lognormvariate(0, 0.2)) for _ in range(6)]
        ratio = _ratio("p99", pairs)
        assert ratio.low < ratio.ratio < ratio.high
        held += ratio.low <= 1.3 <= ratio.high
    assert 0.92 <= held / 400 <= 0.98


def test_one_pair_proves_nothing() -> None:
    ratio = _ratio("p99", [(1.0, 5.0)])
    assert ratio.ratio == pytest.approx(5)
    assert not ratio.differs
    assert ratio.to_plain()["high"] is None


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """1.0 answers in 2 ms, 1.1 in 150."""

    def taking(seconds: float):
        async def behave(exchange: Exchange) -> None:
            await asyncio.sleep(seconds)
            exchange.answer()

        return behave

    sides: list[list[LoadResult]] = [[], []]

    async def scenario() -> None:
        async with CountingServer(taking(0.002)) as base, CountingServer(taking(0.15)) as other:
            for which in order_of(3):
                server = (base, other)[which]
                sides[which].append(await run_load(server.plan(ClosedLoop(2, 0.6))))

    run_still(scenario())
    return Comparison("1.0", "1.1", tuple(sides[0]), tuple(sides[1]))


def test_a_version_that_is_slower_is_shown_to_be(comparison: Comparison) -> None:
    ratios = {each.figure: each for each in comparison.ratios}
    assert set(ratios) == {"p50", "p90", "p99", "rate"}
    assert ratios["p50"].ratio > 1.5
    assert ratios["rate"].ratio < 0.8
    assert comparison.failed == (0, 0)
    plain = comparison.to_plain()
    assert len(plain["rounds"]["base"]) == len(plain["rounds"]["other"]) == 3


def test_a_ratio_fails_only_when_its_whole_interval_does(comparison: Comparison) -> None:
    ratio = next(each for each in comparison.ratios if each.figure == "p50")
    texts = [f"p50 > {ratio.low * 0.9:.3f}x", f"p50 > {ratio.ratio:.3f}x", "p50 < 1x"]
    surely, maybe, not_so = (comparison.failures(parse_conditions([text])) for text in texts)
    assert len(surely) == 1
    assert maybe == not_so == []


def test_other_conditions_are_about_each_round_of_the_other_version(comparison: Comparison) -> None:
    failures = comparison.failures(parse_conditions(["p50 > 149ms", "errors > 0"]))
    assert [each.rpartition(", ")[2] for each in failures] == ["in round 1", "in round 2", "in round 3"]
