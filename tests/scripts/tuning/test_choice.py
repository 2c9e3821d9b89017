"""The choice, on made-up measurements: when figures are stable, what is best, which of equals is taken."""

from __future__ import annotations

import math

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.tuning.choice import Figures, Goal, Measured, is_stable


def settings(batch_size: int, workers: int = 1, threads: int = 1) -> VersionSettings:
    return VersionSettings(workers=workers, threads=threads, batch_size=batch_size)


def figures(rate: float, p99_ms: float, failed: int = 0) -> Figures:
    return Figures(rate, p99_ms / 2e3, p99_ms / 1e3, failed)


def measured(of: VersionSettings, *loads: Figures) -> Measured:
    return Measured(of, (loads,))


def test_figures_are_stable_when_most_rounds_agree() -> None:
    assert not is_stable([])
    assert not is_stable([1000])
    assert is_stable([1000, 1040])
    assert not is_stable([1000, 1060])
    assert is_stable([1000, 1500, 1010])  # one round was disturbed
    assert not is_stable([1000, 1500, 1100])
    assert not is_stable([1000, 1500, 1010, 1400])


def test_the_medians_of_the_rounds_count_and_every_failure() -> None:
    rounds = [(figures(100, 9),), (figures(300, 4, failed=2),), (figures(200, 5),)]
    assert Measured(settings(1), tuple(rounds)).figures == (figures(200, 5, failed=2),)
    assert Measured(settings(1), problem="no memory").figures == ()


def test_the_most_requests_within_the_limit_are_best() -> None:
    slow, best, late = (
        measured(settings(1), figures(1000, 5)),
        measured(settings(8), figures(2000, 19)),
        measured(settings(64), figures(4000, 21)),
    )
    assert Goal(p99_limit_seconds=0.020).choose([slow, best, late]) is best
    assert Goal(p99_limit_seconds=0.021).choose([slow, best, late]) is late
    assert Goal(p99_limit_seconds=0.004).choose([slow, best, late]) is None


def test_without_a_limit_p99_is_at_most_twice_the_lowest() -> None:
    tried = [
        measured(settings(size), figures(rate, p99)) for size, rate, p99 in ((1, 500, 6), (8, 900, 11.9))
    ]
    assert Goal().limit_seconds(tried) == pytest.approx(0.012)
    assert Goal().choose(tried) is tried[1]
    too_late = measured(settings(64), figures(5000, 12.1))
    assert Goal().choose([*tried, too_late]) is tried[1]


def test_what_lost_a_request_or_could_not_run_is_not_chosen() -> None:
    sound = measured(settings(1), figures(500, 5))
    losing = measured(settings(8), figures(5000, 1, failed=1))
    silent = measured(settings(16), Figures(0, math.inf, math.inf))
    refused = Measured(settings(32), problem="not enough memory")
    assert Goal().choose([losing, silent, refused, sound]) is sound
    assert Goal().limit_seconds([losing, silent, refused, sound]) == pytest.approx(0.010)
    assert Goal().choose([losing, silent, refused]) is None


def test_of_equals_the_one_with_fewest_workers_is_taken_then_fewest_threads() -> None:
    one = measured(settings(32), figures(980, 5))
    wide = measured(settings(32, threads=2), figures(990, 5))
    two = measured(settings(32, workers=2), figures(1000, 5))
    assert Goal().choose([two, wide, one]) is one
    assert Goal().choose([two, wide]) is wide
    clearly_better = measured(settings(32, workers=2), figures(1020, 5))
    assert Goal().choose([clearly_better, one]) is clearly_better


def test_over_several_loads_none_is_forgotten() -> None:
    only_many = measured(settings(64), figures(100, 4), figures(4000, 20))
    both = measured(settings(16), figures(300, 4), figures(3000, 20))
    assert Goal().choose([only_many, both]) is both
    assert Goal(p99_limit_seconds=0.019).choose([only_many, both]) is None  # each load is held to it


def test_at_a_rate_the_shortest_p99_of_those_that_keep_up_is_best() -> None:
    behind = measured(settings(1), figures(480, 1))
    near, best = measured(settings(8), figures(500, 9)), measured(settings(4), figures(499, 4))
    assert Goal(rate_per_second=500).choose([behind, near, best]) is best
    assert Goal(rate_per_second=500).choose([behind]) is None
