"""Before, during and after: every request is in one phase, by when it was due."""

from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.phases import ALL, phases_of
from statehouse.scripts.load_test.recorder import Recorder


def test_each_version_is_told_in_each_phase_that_it_answered_in() -> None:
    recorder = Recorder(started=0.0)
    for index in range(30):
        due = index / 10
        seconds = 0.5 if 10 <= index < 20 else 0.1
        if index == 12:
            recorder.failed("timeout", due, due + 1, due)
        else:
            status = 503 if index == 25 else 200
            recorder.answered(Answer(status, "1.0" if index < 15 else "1.1", True), due, due, due + seconds)
    phases = {(each.name, each.version): each for each in phases_of(recorder.rows.records(0.0), 1.0, 2.0)}
    assert list(phases) == [
        ("before", "1.0"), ("before", ALL),
        ("during", "1.0"), ("during", "1.1"), ("during", ALL),
        ("after", "1.1"), ("after", ALL),
    ]  # fmt: skip
    assert {key: (each.requests, each.failed) for key, each in phases.items()} == {
        ("before", "1.0"): (10, 0),
        ("before", ALL): (10, 0),
        ("during", "1.0"): (4, 0),
        ("during", "1.1"): (5, 0),
        ("during", ALL): (10, 1),
        ("after", "1.1"): (10, 1),
        ("after", ALL): (10, 1),
    }
    assert round(phases["before", ALL].latency.p50_seconds or 0, 3) == 0.1
    assert round(phases["during", ALL].latency.p50_seconds or 0, 3) == 0.5


def test_a_phase_without_a_request_is_told_as_empty() -> None:
    recorder = Recorder(started=0.0)
    recorder.answered(Answer(200, None, True), 0.0, 0.0, 0.1)
    phases = phases_of(recorder.rows.records(0.0), 5.0, 6.0)
    assert [(each.name, each.version, each.requests) for each in phases] == [
        ("before", None, 1), ("before", ALL, 1), ("during", ALL, 0), ("after", ALL, 0),
    ]  # fmt: skip
    assert phases[-1].to_plain()["latency"]["p99_seconds"] is None
