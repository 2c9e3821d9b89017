"""Which settings a version gets that nobody has chosen any for."""

from types import SimpleNamespace

import pytest

from scripts import default_settings as module
from scripts.default_settings import HEAVY_MACS, default_settings
from scripts.deployment import ONE_LANE, VersionSettings
from scripts.memory import WORKER_BYTES

FREE = 7 * WORKER_BYTES  # that nobody may take


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Four cores, room for so many workers, and no GPU."""

    def make(room, *, cores=4, gpu=False):
        monkeypatch.setattr(module, "available_cores", lambda: cores)
        monkeypatch.setattr(module, "available_bytes", lambda: 2 * room * WORKER_BYTES + FREE)
        monkeypatch.setattr(module, "GPU", tmp_path if gpu else tmp_path / "absent")

    return make


def chosen(macs, versions=1):
    manifest = None if macs == "unknown" else SimpleNamespace(macs_per_row=macs)
    return default_settings(manifest, versions=versions, keep_free_bytes=FREE)


@pytest.mark.parametrize("macs", ["unknown", None, 0, HEAVY_MACS - 1])
def test_light_modules_get_lanes(machine, macs):
    machine(room=4)
    assert chosen(macs) == VersionSettings()


def test_heavy_modules_get_a_worker_per_core(machine):
    machine(room=100)
    settings = chosen(HEAVY_MACS)
    assert settings.workers == 4
    assert [(lane.batch_size, lane.up_to) for lane in settings.lanes] == [(1, 12), (4, None)]
    machine(room=100, cores=64)
    assert chosen(HEAVY_MACS).workers == 8


@pytest.mark.parametrize(("room", "versions", "workers"), [(8, 1, 4), (7, 1, 3), (8, 2, 2), (2, 1, 1)])
def test_no_more_workers_than_half_of_the_memory_holds(machine, room, versions, workers):
    machine(room=room)
    assert chosen(HEAVY_MACS, versions).workers == workers


def test_where_memory_is_short_and_on_a_gpu_there_is_one(machine):
    machine(room=3)
    assert chosen(0).lanes == ONE_LANE
    machine(room=1)
    assert chosen(HEAVY_MACS) == VersionSettings(lanes=ONE_LANE)
    machine(room=100, gpu=True)
    assert chosen(0) == chosen(HEAVY_MACS) == VersionSettings(lanes=ONE_LANE)
