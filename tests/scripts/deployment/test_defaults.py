"""Which settings a version gets that nobody has chosen any for."""

import pytest

from statehouse.scripts.deployment import defaults as module
from statehouse.scripts.deployment.defaults import (
    GPU_BATCH,
    HEAVY_BATCH,
    HEAVY_MACS,
    HEAVY_WORKER_BYTES,
    default_settings,
    same_kind,
)
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import FileRecord

FREE = 7 << 30  # that nobody may take
LIGHT, ONE_HEAVY = VersionSettings(), VersionSettings(batch_size=HEAVY_BATCH)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Four cores, so much memory for workers, and no GPU."""

    def make(room_bytes=64 << 30, *, cores=4, gpu=False):
        monkeypatch.setattr(module, "available_cores", lambda: cores)
        monkeypatch.setattr(module, "available_bytes", lambda: 2 * room_bytes + FREE)
        monkeypatch.setattr(module, "GPU", tmp_path if gpu else tmp_path / "absent")

    return make


@pytest.fixture
def manifest_of(make_version):
    """The manifest of a version that computes so much."""
    published = read_folder(make_version("digits", "1.0")).manifest

    def make(macs, *, parameters=20, weights_bytes=0, speedup=None):
        files = published.files | {"checkpoint.pt": FileRecord(sha256="0" * 64, size_bytes=weights_bytes)}
        changed = {"macs_per_row": macs, "parameter_count": parameters, "files": files}
        changed["frozen_speedup"] = speedup
        return published.model_copy(update=changed)

    return make


@pytest.fixture
def chosen(manifest_of):
    """What a version gets that computes so much."""

    def choose(macs, *, versions=1, **about):
        return default_settings(manifest_of(macs, **about), new_versions=versions, keep_free_bytes=FREE)

    return choose


@pytest.mark.parametrize("macs", [None, 0, HEAVY_MACS - 1])
def test_light_modules_get_one_worker_and_large_batches(machine, chosen, macs):
    machine(cores=64)
    settings = chosen(macs)
    assert settings == LIGHT
    assert (settings.workers, settings.threads, settings.batch_size) == (1, 1, 64)


def test_so_do_those_of_which_nothing_is_known(machine):
    machine()
    assert default_settings(None, new_versions=1, keep_free_bytes=FREE) == LIGHT


def test_and_those_that_use_each_weight_once_which_gain_by_batches(machine, chosen):
    machine()
    assert chosen(HEAVY_MACS, parameters=HEAVY_MACS) == LIGHT


def test_heavy_modules_get_a_worker_per_core_and_small_batches(machine, chosen):
    machine()
    assert chosen(HEAVY_MACS) == VersionSettings(workers=4, batch_size=4)
    machine(cores=64)
    assert chosen(HEAVY_MACS).workers == 8


@pytest.mark.parametrize(
    ("speedup", "frozen"), [(None, False), (0, False), (1.09, False), (1.1, True), (3, True)]
)
def test_a_heavy_module_is_frozen_where_that_was_found_to_be_worth_it(machine, chosen, speedup, frozen):
    machine()
    assert chosen(HEAVY_MACS, speedup=speedup).optimizations == (("freeze",) if frozen else ())
    assert chosen(HEAVY_MACS - 1, speedup=speedup).optimizations == ()
    machine(gpu=True)
    assert chosen(HEAVY_MACS, speedup=speedup).optimizations == ()


@pytest.mark.parametrize(("room", "optimizations"), [(14, ("freeze",)), (13, ())])
def test_it_is_frozen_only_where_each_worker_can_have_its_own_weights(machine, chosen, room, optimizations):
    weights = HEAVY_WORKER_BYTES  # four workers, each with two and a half times that
    machine(room * HEAVY_WORKER_BYTES + weights * 3 // 2)
    settings = chosen(HEAVY_MACS, speedup=3, weights_bytes=weights)
    assert settings.workers == 4
    assert settings.optimizations == optimizations


@pytest.mark.parametrize(("room", "versions", "workers"), [(4, 1, 4), (3, 1, 3), (4, 2, 2), (1, 1, 1)])
def test_no_more_workers_than_half_of_the_memory_holds(machine, chosen, room, versions, workers):
    machine(room * HEAVY_WORKER_BYTES)
    assert chosen(HEAVY_MACS, versions=versions).workers == workers


def test_weights_take_room_too(machine, chosen):
    machine(8 * HEAVY_WORKER_BYTES)
    assert chosen(HEAVY_MACS, weights_bytes=4 * HEAVY_WORKER_BYTES).workers == 2
    assert chosen(HEAVY_MACS, weights_bytes=6 * HEAVY_WORKER_BYTES) == ONE_HEAVY
    assert chosen(0, weights_bytes=6 * HEAVY_WORKER_BYTES) == LIGHT


def test_where_memory_is_short_and_on_a_gpu_there_is_one(machine, chosen):
    machine(0)
    assert (chosen(0), chosen(HEAVY_MACS)) == (LIGHT, ONE_HEAVY)
    machine(gpu=True)
    assert (chosen(0), chosen(HEAVY_MACS)) == (LIGHT, VersionSettings(batch_size=GPU_BATCH))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0, HEAVY_MACS - 1, True),
        (HEAVY_MACS, 9 * HEAVY_MACS, True),
        (0, HEAVY_MACS, False),
        (None, HEAVY_MACS, True),  # published before it was counted, or by a module that cannot be watched
        (None, 0, True),
    ],
)
def test_a_successor_of_another_kind_is_known_where_both_were_counted(manifest_of, one, other, same):
    assert same_kind(manifest_of(one), manifest_of(other)) is same
    assert same_kind(manifest_of(other), manifest_of(one)) is same
