"""What an abort undoes, said by the words that the servers are told; whole changes are aborted in tests/faults."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tests.scripts.changes.conftest import SETTINGS, done, notes

from statehouse.scripts.changes.go_back import Before, go_back
from statehouse.scripts.deployment.edits import with_default, without
from statehouse.scripts.deployment.file import VersionSettings, read_deployment
from statehouse.scripts.deployment.interrupted import UNDONE
from statehouse.scripts.errors import VersionStartError
from statehouse.scripts.supervisor.loaded_version import VersionState

OTHERS = VersionSettings(batch_size=8, workers=2)


@pytest.fixture
def change(make_change: Any) -> Any:
    return make_change("1.0", "1.1")


def before(change: Any) -> Before:
    return Before.of(SimpleNamespace(desired=change.desired, fleet=change.fleet))


def undone(change: Any, known: Before) -> list[str]:
    return asyncio.run(go_back(change, known))


def swapped(change: Any, version: str, *gone: str) -> None:
    """Make a version the default, loaded if it is not, and unload others."""

    async def run() -> None:
        deployment = with_default(change.desired.deployment, "net", version, SETTINGS)
        for each in gone:
            await change.fleet.unload(change.fleet.versions["net", each])
            deployment = without(deployment, "net", each)
        if ("net", version) not in change.fleet.versions:
            await change.fleet.load("net", version, SETTINGS)
        change.desired.change_to(deployment)
        await change.fleet.flip(change.fleet.versions["net", version])

    asyncio.run(run())


def test_clients_go_back_before_what_was_new_is_drained_and_goes(change, told) -> None:
    known = before(change)
    swapped(change, "2.0")
    told.said.clear()
    assert undone(change, known) == []
    words = [word for word in told.words if word[0] in ("default", "drain", "unload")]
    assert words == [("default", "net", "1.0"), ("drain", "2.0", "all"), ("unload", "net", "2.0", 0)]
    assert change.desired.deployment == known.desired
    assert set(change.fleet.versions) == {("net", "1.0"), ("net", "1.1")}


def test_what_was_retired_is_loaded_again_and_desired(change, told) -> None:
    known = before(change)
    swapped(change, "1.1", "1.0")
    assert undone(change, known) == []
    assert told.default_of("net") == "1.0"
    assert change.fleet.versions["net", "1.0"].works
    assert read_deployment(change.desired.path).models == known.desired.models
    assert done(change) == ["roll back", "restore"]


def test_modules_that_an_edit_named_go_again(change) -> None:
    known = before(change)
    change.desired.change_to(change.desired.deployment.model_copy(update={"architectures": ["my_nets"]}))
    assert undone(change, known) == []
    assert change.desired.deployment.architectures == []
    assert read_deployment(change.desired.path).architectures == []


def test_a_change_that_is_interrupted_lands_with_the_modules_that_were_named(change) -> None:
    change.desired.change_to(change.desired.deployment.model_copy(update={"architectures": ["my_nets"]}))
    change._parts.turn = SimpleNamespace(stopping=True)
    assert asyncio.run(change.settle()) == UNDONE
    assert read_deployment(change.desired.path).architectures == []


def test_other_settings_go_back_too(change) -> None:
    known = before(change)
    asyncio.run(change.fleet.load("net", "1.1", OTHERS))
    assert undone(change, known) == []
    assert change.fleet.versions["net", "1.1"].settings == SETTINGS


def test_what_was_held_for_another_is_let_through(change, told) -> None:
    known = before(change)
    undone(change, known)
    assert ("route", "net", "1.0", "1.0-g0") in told.words


def test_what_cannot_be_brought_back_is_told_and_what_replaced_it_serves_on(change, told) -> None:
    known = before(change)
    swapped(change, "1.1", "1.0")
    told.fails = VersionStartError("its file is gone")
    [left] = undone(change, known)
    assert left == "its file is gone"
    assert notes(change) == [left]
    assert told.default_of("net") == "1.1"
    assert change.desired.deployment.models["net"].default == "1.1"
    assert change.fleet.versions["net", "1.1"].works


def test_what_was_down_before_and_was_being_loaded_is_left_to_be_healed(change) -> None:
    change.fleet.versions["net", "1.1"].state = VersionState.FAILED
    known = before(change)
    change.fleet.versions["net", "1.1"].state = VersionState.LOADING
    undone(change, known)
    loaded = change.fleet.versions["net", "1.1"]
    assert (loaded.state, loaded.reason) == (VersionState.FAILED, "its loading was aborted")


def test_after_torchserve_has_ended_its_next_start_loads_what_is_desired(change, told) -> None:
    known = before(change)
    swapped(change, "1.1", "1.0")
    told.process.running = False
    assert undone(change, known) == []
    assert change.desired.deployment.models["net"].default == "1.0"
    assert ("net", "1.0") not in change.fleet.versions
