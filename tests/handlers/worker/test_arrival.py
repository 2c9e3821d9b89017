import time
from types import SimpleNamespace

import pytest

from statehouse.handlers.worker import arrival
from statehouse.handlers.worker.arrival import ArrivalClock


@pytest.fixture
def clock(monkeypatch):
    """A wall clock that the test sets; the monotonic one goes on."""
    set_by = [0.0]
    times = SimpleNamespace(time=lambda: time.time() + set_by[0], monotonic=time.monotonic)
    monkeypatch.setattr(arrival, "time", times)
    return set_by


def test_it_says_how_long_ago_a_request_came(clock):
    arrivals = ArrivalClock(60)
    stamp = int((time.time() - 2) * 1e6)
    assert arrivals.seconds_since(stamp) == pytest.approx(2, abs=0.5)
    assert arrivals.seconds_since(0) == 0
    assert arrivals.seconds_since(int((time.time() - 61) * 1e6)) == 0  # nobody waits so long: another clock


@pytest.mark.parametrize("step_seconds", [3600, 30, -3600])
def test_across_a_set_clock_nothing_is_known_and_after_it_all_is(clock, step_seconds):
    arrivals = ArrivalClock(60)
    before = int(time.time() * 1e6)
    clock[0] = step_seconds
    assert arrivals.seconds_since(before) == 0
    after = int((time.time() + step_seconds) * 1e6)
    assert arrivals.seconds_since(after - 1_000) == 0  # it may have been before the step
    time.sleep(0.02)
    assert 0 < arrivals.seconds_since(after + 10_000) < 5
    clock[0] = step_seconds - 0.01  # slewed, not set
    assert arrivals.seconds_since(after + 10_000) >= 0
