"""Percentiles are near the truth, and the longest is exact."""

import random

import pytest

from scripts.load_test.answer import Answer
from scripts.load_test.histogram import DurationHistogram
from scripts.load_test.recorder import MAX_TALLIES, OTHER_VERSIONS, Recorder


def test_percentiles_are_within_a_thousandth_and_the_maximum_is_exact() -> None:
    durations = sorted(random.Random(0).lognormvariate(-6, 1.5) for _ in range(20_000))
    histogram = DurationHistogram()
    for duration in durations:
        histogram.record(duration)
    found = histogram.summary()
    assert found.count == 20_000
    for share, value in (
        *((0.5, found.p50_seconds), (0.9, found.p90_seconds)),
        *((0.99, found.p99_seconds), (0.999, found.p99_9_seconds)),
    ):
        assert value == pytest.approx(durations[round(share * 20_000) - 1], rel=0.002)
    assert found.max_seconds == durations[-1]


def test_nothing_counted_has_no_percentiles_and_one_duration_is_all_of_them() -> None:
    histogram = DurationHistogram()
    assert set(histogram.summary().to_plain().values()) == {0, None}
    histogram.record(0.1234567)
    found = histogram.summary()
    assert found.p50_seconds == found.max_seconds == 0.1234567


def test_what_lies_outside_an_hour_is_counted_all_the_same() -> None:
    histogram = DurationHistogram()
    for seconds in (-1.0, 0.0, 1e6):
        histogram.record(seconds)
    assert histogram.summary().count == 3
    assert histogram.summary().max_seconds == 1e6


def test_versions_without_end_do_not_fill_the_memory() -> None:
    recorder = Recorder(started=0.0)
    for index in range(MAX_TALLIES + 50):
        recorder.answered(Answer(200, f"{index}", True), intended=0.0, sent=0.0, now=1.0)
    assert len(recorder.tallies) == MAX_TALLIES + 1
    assert recorder.tallies[200, OTHER_VERSIONS].count == 50
    assert recorder.merged(recorder.tallies).count == recorder.answered_count == MAX_TALLIES + 50
