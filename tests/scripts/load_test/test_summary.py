"""From what was recorded to a result; what real servers make of it is in test_known_server.py."""

import numpy as np
import pytest

from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan
from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.recorder import Recorder
from statehouse.scripts.load_test.summary import longest_gap, summarise

PLAN = LoadPlan.for_url("http://h/", (Body(b"x", "text/plain"),), ClosedLoop(1, 4))


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ([1, 2, 9], (7, 2)),
        ([9, 1, 2], (7, 2)),
        ([4], (6, 4)),
        ([], (10, 0)),
        ([6, 6.5], (6, 0)),
        ([0, 5, 10], (5, 0)),
    ],
)
def test_the_longest_time_without_an_answer(ended: list[float], expected: tuple[float, float]) -> None:
    assert longest_gap(np.array(ended, dtype=float), 0.0, 10.0) == expected


def test_a_gap_is_never_less_than_nothing() -> None:
    assert longest_gap(np.array([]), 5.0, 5.0) == (0.0, 5.0)


def test_each_kind_of_end_is_counted_and_times_are_of_the_answered() -> None:
    recorder = Recorder(started=10.0)
    for due, ended, status, version in (
        (10.0, 10.5, 200, "1.0"),
        (11.0, 12.0, 503, "1.0"),
        (12.0, 12.25, 200, "1.1"),
    ):
        recorder.sent()
        recorder.answered(Answer(status, version, True), due, due, ended)
    recorder.failed("timeout", 13.0, 15.0, 13.0)
    recorder.failed("timeout", 13.0, 15.0, 13.0)
    recorder.failed("not_http", 13.0, 14.0, 13.0)
    recorder.unsent([14.0], 14.0)
    result = summarise(PLAN, recorder.recording(planned=7, cpu_share=0.5, interrupted=False))
    assert (result.planned, result.sent, result.answered, result.unsent) == (7, 3, 3, 1)
    assert list(result.errors.items()) == [("timeout", 2), ("not_http", 1)]
    assert result.statuses == {200: 2, 503: 1}
    assert result.elapsed_seconds == 5.0
    assert (result.longest_gap_seconds, result.longest_gap_began_seconds) == (2.75, 2.25)
    assert result.latency.count == 3
    assert result.latency.max_seconds == 1.0
    assert result.slowest_intended_send_seconds == 1.0
    old, new = result.versions
    assert (old.version, old.answers, old.statuses) == ("1.0", 2, {200: 1, 503: 1})
    assert (old.first_answer_seconds, old.last_answer_seconds, old.longest_gap_seconds) == (0.5, 2.0, 1.5)
    assert (old.first_intended_send_seconds, old.last_intended_send_seconds, old.last_sent_seconds) == (
        0,
        1,
        1,
    )
    assert (new.version, new.slowest_intended_send_seconds) == ("1.1", 2.0)


def test_a_load_that_was_never_answered_has_no_times() -> None:
    result = summarise(PLAN, Recorder(started=0.0).recording(planned=0, cpu_share=0.0, interrupted=True))
    assert (result.elapsed_seconds, result.versions, result.errors) == (0.0, (), {})
    assert result.slowest_intended_send_seconds is None
    assert result.latency.p99_seconds is None
    assert result.longest_gap_seconds == 0.0
