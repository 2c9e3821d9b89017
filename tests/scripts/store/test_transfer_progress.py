"""How far a transfer is, told often enough and not too often."""

from types import SimpleNamespace

import pytest

from statehouse.scripts.store import transfer_progress
from statehouse.scripts.store.transfer_progress import WIDTH, Meter

MB = 1_000_000


@pytest.fixture
def clock(monkeypatch):
    told = SimpleNamespace(now=100.0)
    monkeypatch.setattr(transfer_progress, "time", SimpleNamespace(monotonic=lambda: told.now))
    return told


@pytest.fixture
def told():
    return []


def test_what_is_done_soon_has_no_bar(clock, told):
    meter = Meter("fetching", 10 * MB, told.append)
    clock.now += 1.9
    meter.add(10 * MB)
    assert told == []


def test_it_is_told_when_some_time_has_passed_and_much_was_moved(clock, told):
    meter = Meter("fetching", 100 * MB, told.append)
    clock.now += 2
    meter.add(4 * MB)
    assert told == []
    meter.add(1 * MB)
    assert len(told) == 1
    meter.add(50 * MB)
    assert len(told) == 1


def test_a_slow_one_is_told_all_the_same(clock, told):
    meter = Meter("fetching", 1000 * MB, told.append)
    clock.now += 9.9
    meter.add(1)
    assert told == []
    clock.now += 0.1
    meter.add(1)
    assert len(told) == 1
    clock.now += 5
    meter.add(1)
    assert len(told) == 1


def test_the_bar_has_the_bytes_and_the_speed_of_what_was_moved(clock, told):
    meter = Meter("fetching digits", 2000 * MB, told.append)
    meter.add(500 * MB, moved=False)
    clock.now += 10
    meter.add(500 * MB)
    assert told == [f"fetching digits  {'━' * 12}{'─' * 12}  50%  1,000 of 2,000 MB, 50.0 MB/s"]
    assert meter.moved_bytes == 500 * MB


def test_begun_again_it_goes_back(clock, told):
    meter = Meter("fetching", 10 * MB, told.append)
    meter.add(10 * MB)
    assert meter.text().count("━") == WIDTH
    meter.add(-10 * MB, moved=False)
    assert meter.text().count("━") == 0
    assert meter.moved_bytes == 10 * MB


def test_nothing_to_move_is_no_division_by_nothing(clock, told):
    meter = Meter("fetching", 0, told.append)
    meter.add(0)
    assert "  0%  0 of 0 MB, 0.0 MB/s" in meter.text()
    meter.add(5)
    assert "100%" in meter.text()


def test_a_note_says_of_what_it_is(clock, told):
    Meter("fetching", 1, told.append).note("the connection was lost")
    assert told == ["fetching: the connection was lost"]
