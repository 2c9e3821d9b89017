"""Percentiles are near the truth, the longest is exact, and all that is told can be read by others."""

import random

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from statehouse.scripts.load_test.histogram import DurationHistogram, latency_of


def test_percentiles_are_within_a_thousandth_and_the_maximum_is_exact() -> None:
    durations = sorted(random.Random(0).lognormvariate(-6, 1.5) for _ in range(20_000))
    found = latency_of(np.array(durations))
    assert found.count == 20_000
    for share, value in (
        *((0.5, found.p50_seconds), (0.9, found.p90_seconds)),
        *((0.99, found.p99_seconds), (0.999, found.p99_9_seconds)),
    ):
        assert value == pytest.approx(durations[round(share * 20_000) - 1], rel=0.002)
    assert found.max_seconds == durations[-1]


def test_it_is_what_hdr_makes_of_one_value_after_another() -> None:
    rng = random.Random(1)
    microseconds = [rng.randrange(10 ** rng.randrange(1, 9)) for _ in range(5_000)]
    one_by_one = HdrHistogram(1, 3_600_000_000, 3)
    for value in microseconds:
        one_by_one.record_value(value)
    decoded = HdrHistogram.decode(DurationHistogram((np.array(microseconds) + 0.5) / 1e6).encoded())
    shares = [1, 10, 50, 75, 90, 99, 99.9, 100]
    assert decoded.get_percentile_to_value_dict(shares) == one_by_one.get_percentile_to_value_dict(shares)
    assert decoded.get_total_count() == 5_000


def test_nothing_counted_has_no_percentiles_and_one_duration_is_all_of_them() -> None:
    assert set(latency_of(np.array([])).to_plain().values()) == {0, None}
    assert DurationHistogram(np.array([])).percentiles_seconds([50]) == []
    found = latency_of(np.array([0.1234567]))
    assert found.p50_seconds == found.max_seconds == 0.1234567


def test_what_lies_outside_an_hour_is_counted_all_the_same() -> None:
    found = latency_of(np.array([-1.0, 0.0, 1e6]))
    assert found.count == 3
    assert found.max_seconds == 1e6
