"""Where a load stands while it runs."""

import pytest

from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.progress import RECENT_ROWS, LoadProgress, merge_progress, progress_of
from statehouse.scripts.load_test.recorder import Recorder


def test_before_it_has_begun_nothing_has_happened() -> None:
    assert progress_of(Recorder(started=10.0), 5, 9.0) == LoadProgress(0.0, 5, 0, 0, 0, 0, None)


def test_the_p99_of_now_is_of_the_last_few_requests() -> None:
    recorder = Recorder(started=0.0)
    for index in range(2 * RECENT_ROWS):
        recorder.sent()
        recorder.answered(Answer(200, None, True), 0.0, 0.0, 9.0 if index < RECENT_ROWS else 0.5)
    recorder.failed("timeout", 0.0, 0.5)
    recorder.unsent([0.0], 0.5)
    progress = progress_of(recorder, 7, 2.0)
    assert (progress.elapsed_seconds, progress.sent, progress.answered) == (2.0, 1000, 1000)
    assert (progress.failed, progress.unsent) == (1, 1)
    assert progress.recent_p99_seconds == pytest.approx(0.5)


def test_of_several_processes_the_slowest_counts() -> None:
    parts = [
        LoadProgress(1.0, 10, 5, 4, 1, 0, 0.25),
        LoadProgress(2.0, 10, 6, 5, 0, 1, None),
        LoadProgress(1.5, 10, 7, 6, 0, 0, 0.5),
    ]
    assert merge_progress(parts) == LoadProgress(2.0, 30, 18, 15, 1, 1, 0.5)
    assert merge_progress(parts[1:2]).recent_p99_seconds is None
