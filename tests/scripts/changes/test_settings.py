"""Other settings for a loaded version: fresh workers beside the old ones, a flip, and back where that fails."""

from __future__ import annotations

import asyncio

import pytest
from tests.scripts.changes.conftest import SETTINGS, done, notes

from statehouse.scripts.changes import settings as settings_module
from statehouse.scripts.changes.settings import run_with, scaled
from statehouse.scripts.changes.settings import told as settings_told
from statehouse.scripts.deployment.file import VersionSettings, read_deployment
from statehouse.scripts.errors import ChangeAbortedError, ChangeError, TorchServeError

THREADS = SETTINGS.model_copy(update={"threads": 2})


@pytest.fixture(autouse=True)
def _enough_memory(monkeypatch):
    monkeypatch.setattr(settings_module, "refuse_if_too_large", lambda *about, hint: None)


def written(change):
    return read_deployment(change.desired.path).models["net"].versions


def test_fresh_workers_take_over_before_the_old_ones_stop(make_change, told):
    change = make_change("1.0")
    assert asyncio.run(scaled(change, "1.0", 2)) == ["net 1.0 has 2 workers"]
    assert told.words == [
        ("route", "net", "1.0", "1.0-g1"),
        ("TorchServe's default", "1.0-g1"),
        ("default", "net", "1.0"),
        ("drain", "1.0", "all"),
        ("TorchServe's default", "1.0-g1"),
        ("unload", "net", "1.0", 0),
    ]
    assert done(change) == ["load", "flip", "drain"]
    assert written(change)["1.0"].workers == 2
    assert change.fleet.versions["net", "1.0"].settings.workers == 2


def test_one_that_is_not_the_default_does_not_become_it(make_change, told):
    asyncio.run(run_with(make_change("1.1", "1.0"), "1.0", THREADS))
    assert told.defaults == {"net": "1.1"}
    assert ("default", "net", "1.0") not in told.words


def test_nothing_is_done_for_settings_that_it_has(make_change, told):
    change = make_change("1.0")
    assert asyncio.run(run_with(change, "1.0", SETTINGS)) == []
    assert asyncio.run(run_with(change, "1.0", None)) == []
    assert asyncio.run(scaled(change, "1.0", 1)) == []
    assert (told.words, change.steps) == ([], [])


def test_a_trial_is_not_written_and_ends_with_the_settings_of_the_deployment(make_change):
    change = make_change("1.0")
    tried = asyncio.run(run_with(change, "1.0", THREADS, desired=False))
    assert tried == ["net 1.0 runs in 1 worker, batches up to 8, 2 threads each"]
    assert written(change)["1.0"] == SETTINGS
    assert not change.decided
    assert asyncio.run(run_with(change, "1.0", None, desired=False)) == [
        "net 1.0 runs in 1 worker, batches up to 8, 1 thread each"
    ]
    assert change.fleet.versions["net", "1.0"].settings == SETTINGS


def test_a_trial_that_is_kept_is_only_written(make_change, told):
    change = make_change("1.0")
    asyncio.run(run_with(change, "1.0", THREADS, desired=False))
    told.said.clear()
    assert asyncio.run(run_with(change, "1.0", THREADS))
    assert told.words == []
    assert done(change)[-1] == "write"
    assert written(change)["1.0"] == THREADS


def test_a_flip_that_fails_is_put_back(make_change, told, monkeypatch):
    change = make_change("1.0")
    old = change.fleet.versions["net", "1.0"]
    set_default = told.set_default

    async def fail_for_the_fresh_one(*about):
        if getattr(about[0], "generation", 0):
            raise TorchServeError("it refuses")
        await set_default(*about)

    monkeypatch.setattr(told, "set_default", fail_for_the_fresh_one)
    with pytest.raises(TorchServeError):
        asyncio.run(run_with(change, "1.0", THREADS))
    assert change.fleet.versions["net", "1.0"] is old
    assert told.words[-1] == ("unload", "net", "1.0", 1)
    assert written(change)["1.0"] == SETTINGS
    assert change.desired.deployment.models["net"].versions["1.0"] == SETTINGS
    assert not change.decided
    assert notes(change) == []


def test_what_of_putting_back_cannot_be_is_told_and_hides_nothing(make_change, told, monkeypatch):
    change = make_change("1.0")

    async def fail(*about):
        raise TorchServeError("it refuses")

    monkeypatch.setattr(told, "set_default", fail)
    monkeypatch.setattr(told, "unload", fail)
    with pytest.raises(TorchServeError):
        asyncio.run(run_with(change, "1.0", THREADS))
    assert notes(change) == ["it refuses"]


def test_requests_that_outlast_the_drain_are_told(make_change, told):
    told.busy = {"1.0"}
    change = make_change("1.0")
    asyncio.run(run_with(change, "1.0", THREADS))
    assert notes(change) == ["the old workers still had requests in flight after 30 s"]


def test_only_what_works_can_be_run_otherwise(make_change):
    change = make_change("1.1", "1.0")
    change.fleet.versions["net", "1.0"].state = "FAILED"
    for change_it in (scaled(change, "1.0", 2), run_with(change, "1.0", THREADS)):
        with pytest.raises(ChangeError) as caught:
            asyncio.run(change_it)
        assert str(caught.value) == (
            "net 1.0 is not loaded; loaded are: 1.1. Bring it in: statehouse swap net 1.0"
        )


def test_settings_as_people_read_them():
    assert settings_told(VersionSettings()) == "batches up to 64, 1 thread each"
    assert settings_told(THREADS) == "batches up to 8, 2 threads each"


def test_an_abort_while_the_old_workers_stop_sends_nobody_back_to_them(make_change, told, monkeypatch):
    change = make_change("1.0")
    stop = change.fleet.stop_version

    async def stop_and_abort(version):
        await stop(version)
        change.running.abort("bob@there")

    monkeypatch.setattr(change.fleet, "stop_version", stop_and_abort)
    with pytest.raises(ChangeAbortedError):
        asyncio.run(scaled(change, "1.0", 2))
    assert ("route", "net", "1.0", "1.0-g0") not in told.words
    assert told.words[-1] == ("unload", "net", "1.0", 0)
    assert change.fleet.versions["net", "1.0"].settings.workers == 2
