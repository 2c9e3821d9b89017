"""One row per request, from one process or several."""

import math

import numpy as np

from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.recorder import Recorder, merge_recordings
from statehouse.scripts.load_test.records import MAX_OUTCOMES, OTHER_VERSIONS, Outcome


def test_versions_without_end_do_not_fill_the_memory() -> None:
    recorder = Recorder(started=0.0)
    for index in range(MAX_OUTCOMES + 50):
        recorder.answered(Answer(200, f"{index}", True), intended=0.0, sent=0.0, now=1.0)
    records = recorder.rows.records(0.0)
    counts = records.counts()
    assert len(counts) == MAX_OUTCOMES + 1
    assert counts[Outcome(200, OTHER_VERSIONS)] == 50
    assert sum(counts.values()) == len(records) == recorder.answered_count == MAX_OUTCOMES + 50


def test_what_several_processes_recorded_is_as_if_one_had() -> None:
    one, first, second = (Recorder(started=100.0) for _ in range(3))
    for index in range(20):
        for recorder in (one, (first, second)[index % 2]):
            due = 100.0 + index / 10
            if index == 7:
                recorder.failed("timeout", due, due + 1, due)
            elif index == 8:
                recorder.unsent([due], due + 2)
            else:
                recorder.answered(Answer(200, "1.0" if index < 10 else "1.1", True), due, due, due + 0.01)
    parts = [each.recording(planned=10, cpu_share=0.1, interrupted=False) for each in (first, second)]
    merged = merge_recordings(parts).records
    whole = one.recording(planned=20, cpu_share=0.1, interrupted=False).records
    assert merged.counts() == whole.counts()
    assert merged.versions() == whole.versions() == ["1.0", "1.1"]
    assert sorted(merged.due) == sorted(whole.due)
    assert math.isclose(merged.seconds.sum(), whole.seconds.sum())
    order = np.argsort(merged.due)
    assert [merged.outcomes[each] for each in merged.outcome[order]] == [
        whole.outcomes[each] for each in whole.outcome
    ]
    assert int(merged.answered.sum()) == 18
