"""A swap and its way back, told to servers that only note it; real ones swap in tests/e2e and tests/faults."""

from __future__ import annotations

import asyncio

import pytest
from tests.scripts.changes.conftest import SETTINGS, done, notes

from statehouse.scripts.changes import swap as swap_module
from statehouse.scripts.changes.swap import SwapOptions, SwapResult, rollback, swap
from statehouse.scripts.deployment.file import read_deployment
from statehouse.scripts.errors import (
    ChangeAbortedError,
    ChangeError,
    GoldenRequestError,
    ServerEndedError,
    TorchServeError,
)
from statehouse.scripts.supervisor.loaded_version import VersionState


@pytest.fixture(autouse=True)
def proved(monkeypatch, told):
    """Versions are brought up by the fleet alone, and proved unless `proved.fails`."""

    class Proved:
        fails: Exception | None = None

    async def bring_up(change, version, *, check_memory=True):
        told.said.append(("bring up", version, check_memory))
        return await change.fleet.load(change.name, version, SETTINGS)

    async def prove(front, loaded):
        told.said.append(("prove", loaded.version))
        if Proved.fails:
            raise Proved.fails

    monkeypatch.setattr(swap_module, "bring_up", bring_up)
    monkeypatch.setattr(swap_module, "send_golden_requests", prove)
    return Proved


def run(change, version, **options):
    return asyncio.run(swap(change, version, SwapOptions(**options)))


def model(change):
    written = read_deployment(change.desired.path)
    assert written == change.desired.deployment
    return written.models.get("net")


def loaded(change):
    return [version for _, version in change.fleet.versions]


def test_the_new_version_proves_itself_before_it_serves_and_the_old_one_is_kept(make_change, told):
    change = make_change("1.0")
    assert run(change, "1.1") == SwapResult("net", "1.1", "1.0", changed=True)
    assert told.words == [
        ("bring up", "1.1", True),
        ("route", "net", "1.1", "1.1-g0"),
        ("prove", "1.1"),
        ("TorchServe's default", "1.1-g0"),
        ("default", "net", "1.1"),
        ("drain", "1.0", "those of the default"),
    ]
    assert done(change) == ["verify", "flip", "drain"]
    assert (model(change).default, model(change).previous, loaded(change)) == ("1.1", "1.0", ["1.0", "1.1"])
    assert change.decided


def test_the_first_version_of_a_name_becomes_its_default(make_change, told):
    change = make_change()
    assert run(change, "1.0") == SwapResult("net", "1.0", None, changed=True)
    assert told.defaults == {"net": "1.0"}
    assert (model(change).default, model(change).previous) == ("1.0", None)


def test_what_serves_already_changes_nothing(make_change, told):
    change = make_change("1.0")
    assert run(change, "1.0") == SwapResult("net", "1.0", "1.0", changed=False)
    assert (told.words, change.steps) == ([], [])


def test_a_default_that_does_not_work_is_brought_up_again(make_change, told):
    change = make_change("1.0")
    change.fleet.versions["net", "1.0"].state = VersionState.FAILED
    assert run(change, "1.0").changed
    assert told.words[0] == ("bring up", "1.0", True)


def test_one_version_back_is_kept_and_not_all_of_them(make_change):
    change = make_change("1.1", "1.0", previous="1.0")
    run(change, "1.2")
    assert loaded(change) == ["1.1", "1.2"]
    assert (model(change).previous, sorted(model(change).versions)) == ("1.1", ["1.1", "1.2"])


def test_all_of_them_where_that_is_wanted(make_change):
    change = make_change("1.1", "1.0", previous="1.0")
    run(change, "1.2", keep_older=True)
    assert loaded(change) == ["1.1", "1.0", "1.2"]


def test_the_old_one_is_retired_where_that_is_wanted(make_change, told):
    change = make_change("1.1", "1.0", previous="1.0")
    run(change, "1.2", retire=True)
    assert loaded(change) == ["1.2"]
    assert list(model(change).versions) == ["1.2"]
    assert told.words.index(("default", "net", "1.2")) < told.words.index(("unload", "net", "1.1", 0))


def test_a_roll_back_is_at_once_where_the_version_before_is_loaded(make_change, told):
    change = make_change("1.1", "1.0", previous="1.0")
    assert asyncio.run(rollback(change, SwapOptions())).serving == "1.0"
    assert not [words for words in told.words if words[0] == "bring up"]
    assert (model(change).default, model(change).previous, loaded(change)) == ("1.0", "1.1", ["1.1", "1.0"])


@pytest.mark.parametrize(("versions", "serves"), [(("1.0",), "1.0"), ((), "nothing")])
def test_nothing_to_roll_back_to_says_what_to_do(make_change, versions, serves):
    with pytest.raises(ChangeError) as caught:
        asyncio.run(rollback(make_change(*versions), SwapOptions()))
    assert str(caught.value) == (
        f"net has no version to roll back to; {serves} serves it. Swap to one: statehouse swap net VERSION"
    )


def test_a_version_that_does_not_prove_itself_leaves_nothing_behind(make_change, told, proved):
    proved.fails = GoldenRequestError("it answers otherwise")
    change = make_change("1.0")
    with pytest.raises(GoldenRequestError):
        run(change, "1.1")
    assert (told.defaults, loaded(change)) == ({"net": "1.0"}, ["1.0"])
    assert told.words[-1] == ("unload", "net", "1.1", 0)
    assert list(model(change).versions) == ["1.0"]
    assert not change.decided


def test_one_that_was_loaded_before_stays_loaded(make_change, proved):
    proved.fails = GoldenRequestError("it answers otherwise")
    change = make_change("1.1", "1.0")
    with pytest.raises(GoldenRequestError):
        run(change, "1.0")
    assert loaded(change) == ["1.1", "1.0"]


def test_a_flip_that_fails_is_taken_back(make_change, told, monkeypatch):
    change = make_change("1.0")

    async def fail(*about):
        raise TorchServeError("it refuses")

    monkeypatch.setattr(told, "set_default", fail)
    with pytest.raises(TorchServeError):
        run(change, "1.1")
    assert (model(change).default, list(model(change).versions)) == ("1.0", ["1.0"])
    assert told.defaults == {"net": "1.0"}
    assert not change.decided
    assert notes(change) == ["it refuses"]  # nor could TorchServe's default be set while 1.1 was unloaded


def test_when_torchserve_has_ended_nothing_is_undone(make_change, told, proved):
    proved.fails = ServerEndedError("TorchServe ended")
    change = make_change("1.0")
    with pytest.raises(ServerEndedError):
        run(change, "1.1")
    assert loaded(change) == ["1.0", "1.1"]
    assert ("unload", "net", "1.1", 0) not in told.words


def test_to_replace_stops_the_old_one_first_and_its_requests_wait(make_change, told):
    change = make_change("1.0")
    assert run(change, "1.1", replace=True).changed
    assert told.words[:5] == [
        ("hold", "net", "1.0"),
        ("drain", "1.0", "all"),
        ("unload", "net", "1.0", 0),
        ("bring up", "1.1", False),
        ("route", "net", "1.1", "1.1-g0"),
    ]
    assert told.words[-1] == ("no route", "net", "1.0", True)
    assert (loaded(change), list(model(change).versions)) == (["1.1"], ["1.1"])


def test_what_was_stopped_to_make_room_is_started_again_where_the_new_one_fails(make_change, told, proved):
    proved.fails = GoldenRequestError("it answers otherwise")
    change = make_change("1.0")
    with pytest.raises(GoldenRequestError):
        run(change, "1.1", replace=True)
    assert loaded(change) == ["1.0"]
    assert told.words[-1] == ("route", "net", "1.0", "1.0-g1")
    assert done(change)[-1] == "restore"
    assert change.fleet.versions["net", "1.0"].works


def test_an_abort_takes_the_new_one_away_before_the_old_one_comes_back(make_change, told, proved):
    """There is no room for both; what is undone by `go_back` otherwise is loaded beside what is there."""
    proved.fails = ChangeAbortedError("it was aborted")
    change = make_change("1.0")
    with pytest.raises(ChangeAbortedError):
        run(change, "1.1", replace=True)
    assert loaded(change) == ["1.0"]
    assert told.words.index(("unload", "net", "1.1", 0)) < told.words.index(("route", "net", "1.0", "1.0-g1"))


def test_an_abort_of_any_other_swap_is_left_to_what_undoes_it(make_change, told, proved):
    proved.fails = ChangeAbortedError("it was aborted")
    change = make_change("1.0")
    with pytest.raises(ChangeAbortedError):
        run(change, "1.1")
    assert loaded(change) == ["1.0", "1.1"]


def test_nothing_is_started_again_where_torchserve_has_ended(make_change, told, proved):
    proved.fails = GoldenRequestError("it answers otherwise")
    change = make_change("1.0")
    told.process.running = False
    with pytest.raises(GoldenRequestError):
        run(change, "1.1", replace=True)
    assert "restore" not in done(change)


def test_requests_that_outlast_the_drain_are_told(make_change, told):
    told.busy = {"1.0"}
    change = make_change("1.0")
    run(change, "1.1", drain_seconds=2.5)
    assert notes(change) == ["1.0 still had requests in flight after 2.5 s"]


def test_what_compares_the_two_comes_before_the_flip_and_the_watch_after_it(make_change, told, monkeypatch):
    def noting(word):
        async def note(*about, **options):
            told.said.append((word,))

        return note

    for name in ("shadow", "canary", "observe_before", "watch"):
        monkeypatch.setattr(swap_module, name, noting(name))
    change = make_change("1.0")
    run(change, "1.1", shadow=object(), canary_shares=(0.1,), watch_seconds=5)
    words = [said[0] for said in told.words]
    assert words == [
        *("bring up", "route", "prove", "shadow", "canary", "observe_before"),
        *("TorchServe's default", "default", "watch", "drain"),
    ]
    assert change.decided
    told.said.clear()
    run(change, "1.2", replace=True, shadow=object(), canary_shares=(0.1,), watch_seconds=5)
    assert not {said[0] for said in told.words} & {"shadow", "canary", "observe_before", "watch"}
