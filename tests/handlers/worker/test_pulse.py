import time

import pytest

from statehouse.handlers.worker.pulse import Beat, Pulse


def test_a_watcher_sees_idle_busy_and_what_was_answered(tmp_path):
    path = tmp_path / "w.pulse"
    began = time.monotonic()
    pulse = Pulse(path)
    assert Beat.read(path).busy_since_seconds is None
    pulse.busy()
    beat = Beat.read(path)
    assert began <= beat.busy_since_seconds == beat.stamped_seconds <= time.monotonic()
    pulse.answered(3)
    pulse.busy()
    pulse.answered(2)
    after = Beat.read(path)
    assert (after.busy_since_seconds, after.answered_requests) == (None, 5)
    assert after.busy_seconds > beat.busy_seconds == 0
    pulse.idle()
    assert Beat.read(path).answered_requests == 5
    assert Beat.read(path).stamped_seconds >= after.stamped_seconds


def test_it_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "w.pulse"
    with pytest.raises(FileNotFoundError):
        Beat.read(path)
    path.write_bytes(b"12345")
    with pytest.raises(ValueError, match="5 bytes"):
        Beat.read(path)
    Pulse(path)
    assert [each.name for each in tmp_path.iterdir()] == ["w.pulse"]
    assert path.stat().st_mode & 0o777 == 0o600
