"""What happens during a load, counted as it happens; versions without end are in test_samples.py."""

import math

import numpy as np

from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.recorder import Recorder, merge_recordings
from statehouse.scripts.load_test.records import UNSENT, Outcome

OK = Answer(200, "1.0", True)


def test_every_request_is_one_row_in_seconds_from_the_start() -> None:
    recorder = Recorder(started=100.0)
    recorder.answered(OK, intended=101.0, sent=101.5, now=102.0, connected=100.5)
    recorder.failed("timeout", intended=103.0, now=105.0, sent=103.5)
    recorder.failed("connection_refused", intended=104.0, now=104.5)
    recorder.unsent([106.0, 107.0], now=108.0)
    samples = recorder.recording(planned=5, cpu_share=0.5, interrupted=False).records
    assert samples.due.tolist() == [1, 3, 4, 6, 7]
    assert samples.ended.tolist() == [2, 5, 4.5, 8, 8]
    np.testing.assert_array_equal(samples.sent, [1.5, 3.5, math.nan, math.nan, math.nan])
    np.testing.assert_array_equal(samples.connected, [0.5, *[math.nan] * 4])
    assert samples.counts() == {
        Outcome(200, "1.0"): 1,
        Outcome(None, None, "timeout"): 1,
        Outcome(None, None, "connection_refused"): 1,
        Outcome(None, None, UNSENT): 2,
    }
    assert (recorder.answered_count, recorder.failed_count, recorder.unsent_count) == (1, 2, 2)


def test_a_connection_is_a_reconnect_while_more_were_lost_than_made_again() -> None:
    recorder = Recorder(started=0.0)
    recorder.connection_opened()
    recorder.connection_opened()
    recorder.connection_lost()
    for _ in range(3):
        recorder.connection_opened()
    assert (recorder.connections_opened, recorder.connections_lost, recorder.reconnects) == (5, 1, 1)


def test_the_longest_wait_and_all_lateness_are_kept() -> None:
    recorder = Recorder(started=0.0)
    for seconds in (0.5, 0.25):
        recorder.waited(seconds)
        recorder.late(seconds)
        recorder.sent()
    recording = recorder.recording(planned=2, cpu_share=0.25, interrupted=True)
    assert (recording.waited, recording.longest_wait_seconds, recording.sent) == (2, 0.5, 2)
    assert recording.lateness.tolist() == [0.5, 0.25]
    assert (recording.cpu_shares, recording.interrupted, recording.planned) == ((0.25,), True, 2)


def test_several_processes_are_added_up() -> None:
    parts = []
    for share, wait in ((0.25, 1.0), (0.5, 2.0)):
        recorder = Recorder(started=7.0)
        recorder.answered(OK, 7.0, 7.0, 8.0)
        recorder.waited(wait)
        recorder.late(wait)
        recorder.sent()
        recorder.connection_opened()
        recorder.connection_lost()
        recorder.connection_opened()
        parts.append(recorder.recording(planned=3, cpu_share=share, interrupted=share == 0.5))
    whole = merge_recordings(parts)
    assert (whole.planned, whole.sent, whole.waited, whole.longest_wait_seconds) == (6, 2, 2, 2.0)
    assert (whole.connections_opened, whole.connections_lost, whole.reconnects) == (4, 2, 2)
    assert (whole.cpu_shares, whole.interrupted, whole.started_monotonic_seconds) == ((0.25, 0.5), True, 7.0)
    assert (len(whole.records), sorted(whole.lateness.tolist())) == (2, [1.0, 2.0])
