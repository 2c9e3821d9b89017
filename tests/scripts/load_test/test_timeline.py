"""A load in slices: every request is in one of them, by what is asked."""

import math

import numpy as np
import pytest

from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.recorder import Recorder
from statehouse.scripts.load_test.records import UNSENT, Records
from statehouse.scripts.load_test.timeline import (
    MOST_SLICES,
    SHORTEST_SLICE_SECONDS,
    failure_label,
    latency_points,
    timeline_of,
)


def samples_of(*rows: tuple[float, float, int | str, str | None]) -> Records:
    """Rows of (due, ended, status or error, version)."""
    recorder = Recorder(started=0.0)
    for due, ended, outcome, version in rows:
        if isinstance(outcome, int):
            recorder.answered(Answer(outcome, version, True), due, due, ended)
        elif outcome == UNSENT:
            recorder.unsent([due], ended)
        else:
            recorder.failed(outcome, due, ended, due)
    return recorder.rows.records(0.0)


@pytest.mark.parametrize(
    ("seconds", "width", "count"),
    [
        (0.0, 1.0, 1),
        (1.0, SHORTEST_SLICE_SECONDS, 20),
        (12.0, 0.1, 120),
        (100.0, 1.0, 100),
        (3600.0, 50.0, 72),
    ],
)
def test_slices_have_a_round_length_and_are_not_too_many(seconds: float, width: float, count: int) -> None:
    timeline = timeline_of(samples_of(), seconds)
    assert (timeline.slice_seconds, timeline.count) == (pytest.approx(width), count)
    assert timeline.count <= MOST_SLICES
    assert timeline.seconds >= seconds
    assert timeline.heat is None
    assert np.isnan(timeline.p50_seconds).all()


ROWS = (
    (0.0, 0.5, 200, "1.0"),
    (0.2, 1.5, 200, "1.0"),
    (2.0, 2.5, 200, None),
    (3.0, 3.5, 503, "1.0"),
    (3.1, 4.5, "timeout", None),
    (4.0, 4.5, "timeout", None),
    (5.0, 99.0, UNSENT, None),
)


def test_answers_are_counted_when_they_came_by_version_and_failures_by_kind() -> None:
    timeline = timeline_of(samples_of(*ROWS), 100.0)
    answers = {series.label: series for series in timeline.answers}
    assert list(answers) == ["1.0", "(none named)"]
    assert np.flatnonzero(answers["1.0"].per_slice).tolist() == [0, 1]
    assert np.flatnonzero(answers["(none named)"].per_slice).tolist() == [2]
    assert (timeline.failures[0].label, timeline.failures[0].total) == ("timeout", 2)
    assert {series.label: np.flatnonzero(series.per_slice).tolist() for series in timeline.failures} == {
        "timeout": [4],
        "status 503": [3],
        "never sent": [99],
    }


def test_a_version_that_answered_nothing_well_has_no_series() -> None:
    assert timeline_of(samples_of((0.0, 1.0, 500, "1.0")), 10.0).answers == ()


def test_percentiles_are_of_what_was_due_in_a_slice() -> None:
    rows = [(0.0, (index + 1) / 1000, 200, "1.0") for index in range(100)]
    timeline = timeline_of(samples_of(*rows, (50.0, 52.0, 404, None)), 100.0)
    assert timeline.p50_seconds[0] == pytest.approx(0.05)
    assert timeline.p99_seconds[0] == pytest.approx(0.099)
    assert timeline.p50_seconds[50] == timeline.p99_seconds[50] == 2.0
    assert math.isnan(timeline.p50_seconds[1])


def test_the_heat_has_every_answer_between_its_edges() -> None:
    timeline = timeline_of(samples_of(*ROWS), 100.0)
    heat = timeline.heat
    assert heat is not None
    assert heat.counts.sum() == 4
    assert heat.counts[0].sum() == 2
    assert heat.edges_seconds[0] <= 0.5 < 1.3 <= heat.edges_seconds[-1]
    assert len(heat.edges_seconds) == heat.counts.shape[1] + 1
    [bucket] = np.flatnonzero(heat.counts[2])
    assert heat.edges_seconds[bucket] <= 0.5 < heat.edges_seconds[bucket + 1]


def test_what_took_no_time_is_in_the_lowest_bucket() -> None:
    heat = timeline_of(samples_of((1.0, 1.0, 200, None)), 10.0).heat
    assert heat is not None
    assert heat.counts.sum() == heat.counts[:, 0].sum() == 1


@pytest.mark.parametrize(
    ("status", "error", "label"),
    [
        (503, None, "status 503"),
        (None, UNSENT, "never sent"),
        (None, "closed_before_answer", "closed before answer"),
    ],
)
def test_kinds_of_failure_are_told_in_words(status: int | None, error: str | None, label: str) -> None:
    assert failure_label(status, error) == label


def test_percentiles_are_durations_that_there_were() -> None:
    assert latency_points(np.array([3.0, 1.0, 2.0]), [0, 50, 99.9]) == [1.0, 2.0, 3.0]
    assert latency_points(np.array([]), [50]) == []
