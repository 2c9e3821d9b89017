"""What every process takes; one look lasts a while."""

import os
from types import SimpleNamespace

import pytest

from statehouse.scripts.reader.metrics import memory
from statehouse.scripts.reader.metrics.memory import FRESH_SECONDS, MemoryLook


@pytest.fixture
def looked(monkeypatch):
    """The processes that were looked at; each takes its number of bytes."""
    found = []

    def memory_of(pids):
        pids = [pid for pid in pids if pid]
        found.append(pids)
        return sum(pids)

    monkeypatch.setattr(memory, "memory_of", memory_of)
    return found


@pytest.fixture
def clock(monkeypatch):
    told = SimpleNamespace(now=100.0)
    monkeypatch.setattr(memory, "time", SimpleNamespace(monotonic=lambda: told.now))
    return told


@pytest.fixture
def look(versions):
    def process(pid):
        return SimpleNamespace(pid=pid)

    torchserve = SimpleNamespace(process=process(3), fork_server=process(None))
    return MemoryLook(SimpleNamespace(versions=versions), SimpleNamespace(process=process(2)), torchserve)


def test_each_server_and_the_workers_of_each_version(look, looked, clock, lines):
    assert lines(look.metrics()) == {
        'statehouse_memory_bytes{process="supervisor"}': os.getpid(),
        'statehouse_memory_bytes{process="front"}': 2,
        'statehouse_memory_bytes{process="torchserve"}': 3,
        'statehouse_memory_bytes{process="fork_server"}': 0,
        'statehouse_worker_memory_bytes{model="net",version="1.0"}': 10 + 11 + 12 + 13,
        'statehouse_worker_memory_bytes{model="net",version="1.1"}': 0,
    }


def test_one_look_lasts_a_while(look, looked, clock):
    list(look.metrics())
    count = len(looked)
    clock.now += FRESH_SECONDS
    list(look.metrics())
    assert len(looked) == count
    clock.now += 0.1
    list(look.metrics())
    assert len(looked) == 2 * count


def test_a_version_that_came_or_went_is_looked_at_at_once(look, looked, clock, versions, lines):
    list(look.metrics())
    count = len(looked)
    del versions["net", "1.1"]
    assert 'statehouse_worker_memory_bytes{model="net",version="1.1"}' not in lines(look.metrics())
    assert len(looked) == 2 * count - 1
