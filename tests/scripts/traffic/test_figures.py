"""Figures of what was counted, by hand."""

import pytest

from statehouse.scripts.traffic.figures import cumulative, figures_of
from statehouse.scripts.traffic.version_counts import Counted

COUNTS = {
    Counted("answered", "200"): 90.0,
    Counted("answered", "422"): 6.0,
    Counted("answered", "500"): 1.0,
    Counted("of_the_front", "503"): 3.0,
    Counted("of_the_front", "405"): 0.0,
    Counted("within", 0.001): 50.0,
    Counted("within", 0.005): 47.0,
    Counted("batches"): 20.0,
    Counted("batched"): 97.0,
    Counted("timed", "total"): 97.0,
    Counted("seconds", "total"): 9.7,
    Counted("timed", "inference"): 97.0,
    Counted("seconds", "inference"): 1.94,
}


def test_what_the_front_answered_in_the_workers_place_counts() -> None:
    figures = figures_of(COUNTS, 50.0)
    assert (figures.requests, figures.failed, figures.refused) == (100, 4, 6)


def test_rates_are_per_second_of_the_time_that_passed() -> None:
    figures = figures_of(COUNTS, 50.0)
    assert (figures.requests_per_second, figures.failed_per_second) == (2.0, 0.08)
    assert figures_of(COUNTS, 0.0).requests_per_second is None


def test_means_have_their_own_divisors() -> None:
    figures = figures_of(COUNTS, 50.0)
    assert figures.requests_per_batch == 97 / 20
    assert figures.phase_seconds == {"inference": pytest.approx(0.02)}


def test_percentiles_are_interpolated_in_the_bucket_whose_lower_bound_is_empty() -> None:
    figures = figures_of(COUNTS, 50.0)
    assert figures.p50_seconds == pytest.approx(0.0005 + 0.0005 * 48.5 / 50)
    assert figures.p99_seconds == pytest.approx(0.0025 + 0.0025 * (0.99 * 97 - 50) / 47)
    assert cumulative(COUNTS)[-1] == (float("inf"), 97)


def test_of_nothing_there_is_nothing_to_say() -> None:
    figures = figures_of({}, 2.0)
    assert (figures.requests, figures.requests_per_second) == (0, 0.0)
    assert (figures.p50_seconds, figures.requests_per_batch, figures.phase_seconds) == (None, None, {})
