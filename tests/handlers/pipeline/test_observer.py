"""The phases of a batch, and time divided among them."""

import pytest

from statehouse.handlers.pipeline import observer
from statehouse.handlers.pipeline.observer import PHASES, Laps, Observer, _Lap


@pytest.fixture
def laps(monkeypatch):
    """Laps by a clock that says 10, 11, 13, 17 …"""
    times = iter([10.0, 11.0, 13.0, 17.0, 25.0])
    monkeypatch.setattr(observer.time, "perf_counter", lambda: next(times))
    return Laps()


def test_nobody_sees_nothing():
    watched = Observer()
    for name in PHASES:
        with watched.phase(name):
            watched.rows(3)
    with pytest.raises(KeyError), watched.phase("decode"):
        raise KeyError


def test_parts_of_a_time_add_up_to_it_whatever_lay_between(laps):
    assert laps.begin() == 10.0
    assert laps.end("decode") == 11.0
    assert laps.end("inference") == 13.0
    assert laps.end("decode") == 17.0
    assert laps.seconds == {"decode": 1.0 + 4.0, "inference": 2.0}


def test_it_begins_anew(laps):
    laps.begin()
    laps.end("decode")
    laps.begin()
    laps.end("decode")
    assert laps.seconds == {"decode": 4.0}


def test_what_fails_has_taken_its_time_too(laps):
    laps.begin()
    with pytest.raises(KeyError), _Lap(laps, "decode"):
        raise KeyError
    assert laps.seconds == {"decode": 1.0}
