"""What is loaded, and what the servers are told of it; no server, file or thread is needed for that."""

from __future__ import annotations

import asyncio

import pytest
from tests.scripts.supervisor.conftest import lose_workers

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import FrontError, VersionStartError
from statehouse.scripts.servers.torchserve import Registration, WorkersStatus
from statehouse.scripts.supervisor import fleet as fleet_module
from statehouse.scripts.supervisor.loaded_version import VersionState

TWO = VersionSettings(workers=2, batch_size=8)


def test_a_loaded_version_gets_the_requests_that_name_it(fleet, servers):
    loaded = asyncio.run(fleet.load("net", "1.0", TWO))
    assert fleet.versions == {("net", "1.0"): loaded}
    assert loaded.state is VersionState.READY
    assert servers.said[-1] == ("route", "net", "1.0", "1.0-g0")
    assert servers.defaults == {}


def test_one_that_cannot_start_stays_listed_with_its_reason(fleet, servers):
    servers.fails = VersionStartError("no way")
    with pytest.raises(VersionStartError):
        asyncio.run(fleet.load("net", "1.0", TWO))
    failed = fleet.versions["net", "1.0"]
    assert (failed.state, failed.reason) == (VersionState.FAILED, "no way")
    assert not [said for said in servers.said if said[0] == "route"]


def test_a_flip_is_told_to_torchserve_before_the_front(fleet, servers):
    async def flip():
        await fleet.flip(await fleet.load("net", "1.0", TWO))

    asyncio.run(flip())
    assert servers.said[-2:] == [("TorchServe's default", "1.0-g0"), ("default", "net", "1.0")]


def test_each_loading_has_a_name_of_its_own(fleet, servers):
    async def replace():
        old = await fleet.load("net", "1.0", TWO)
        await fleet.flip(old)
        fresh = await fleet.load_beside(old)
        assert fleet.versions["net", "1.0"] is old
        await fleet.put_in_place(fresh)
        await fleet.stop_version(old)
        return fresh

    fresh = asyncio.run(replace())
    assert fleet.versions["net", "1.0"] is fresh
    assert fresh.registration.torchserve_version == "1.0-g1"
    assert ("unload", "net", "1.0", 0) in servers.said
    # TorchServe does not delete its default: by then that is the fresh one.
    assert servers.said.index(("TorchServe's default", "1.0-g1")) < servers.said.index(
        ("unload", "net", "1.0", 0)
    )


def test_what_is_unloaded_is_forgotten_and_its_next_loading_is_another(fleet, servers, forgotten):
    async def run():
        await fleet.unload(await fleet.load("net", "1.0", TWO))
        return await fleet.load("net", "1.0", TWO)

    again = asyncio.run(run())
    assert forgotten == [("net", "1.0", 1)]
    assert again.generation == 1


def test_what_failed_is_not_unloaded_from_torchserve(fleet, servers, forgotten):
    servers.fails = VersionStartError("no way")
    with pytest.raises(VersionStartError):
        asyncio.run(fleet.load("net", "1.0", TWO))
    asyncio.run(fleet.unload(fleet.versions["net", "1.0"]))
    assert not [said for said in servers.said if said[0] == "unload"]
    assert forgotten == [("net", "1.0", 1)]
    assert fleet.versions == {}


def test_requests_to_what_is_retired_are_refused_and_those_of_a_default(fleet, servers):
    async def run():
        one, other = await fleet.load("net", "1.0", TWO), await fleet.load("net", "1.1", TWO)
        await fleet.flip(one)
        await fleet.refuse_retired(other)
        assert servers.defaults == {"net": "1.0"}
        await fleet.refuse_retired(one)

    asyncio.run(run())
    assert servers.defaults == {}
    assert ("no route", "net", "1.1", True) in servers.said


def test_many_looks_at_once_ask_once(fleet, servers):
    async def run():
        await fleet.load("net", "1.0", TWO)
        servers.said.clear()
        await asyncio.gather(*(fleet.look() for _ in range(5)))

    asyncio.run(run())
    assert servers.said == [("describe", "1.0-g0")]


def test_a_version_that_torchserve_lost_is_served_as_long_as_its_doors_are_open(fleet, servers, gone):
    async def run():
        loaded = await fleet.load("net", "1.0", TWO)
        servers.fails = gone
        await fleet.look(fresh=True)
        return loaded

    loaded = asyncio.run(run())
    assert (loaded.state, loaded.ready_workers, loaded.workers) == (VersionState.READY, 2, [])
    lose_workers(loaded)
    assert (loaded.state, loaded.ready_workers) == (VersionState.DEGRADED, 0)
    assert "they ended without a word" in loaded.why_not_ready


def test_what_its_workers_said_last_is_known_until_one_is_back(fleet, servers):
    async def why():
        await fleet.look(fresh=True)
        return loaded.why_not_ready

    loaded = asyncio.run(fleet.load("net", "1.0", TWO))
    lose_workers(loaded)
    servers.last_error = "ValueError: no"
    assert "the last error in their log: ValueError: no" in asyncio.run(why())
    loaded.doors = {1}
    asyncio.run(why())
    assert loaded.last_words is None


def test_while_torchserve_is_silent_what_was_seen_last_stays_and_nobody_waits_long(
    fleet, servers, monkeypatch
):
    async def never(registration: Registration) -> WorkersStatus:
        await asyncio.Event().wait()
        raise AssertionError

    async def run():
        loaded = await fleet.load("net", "1.0", TWO)
        monkeypatch.setattr(servers, "describe", never)
        monkeypatch.setattr(fleet_module, "GLANCE_SECONDS", 0.01)
        monkeypatch.setattr(fleet_module, "DESCRIBE_SECONDS", 3600)
        await fleet.glance()
        monkeypatch.setattr(fleet_module, "DESCRIBE_SECONDS", 0.01)
        await fleet.look(fresh=True)
        return loaded

    loaded = asyncio.run(run())
    assert (loaded.state, loaded.ready_workers) == (VersionState.READY, 2)


def test_when_torchserve_itself_has_ended_nothing_is_said_of_its_versions(fleet, servers, gone):
    async def run():
        loaded = await fleet.load("net", "1.0", TWO)
        servers.fails, servers.process.running = gone, False
        await fleet.look(fresh=True)
        return loaded

    loaded = asyncio.run(run())
    assert (loaded.state, loaded.ready_workers) == (VersionState.READY, 2)


# -- slots


def test_each_loading_takes_a_slot_and_gives_it_back_with_its_end(fleet, servers):
    async def run():
        one, other = await fleet.load("net", "1.0", TWO), await fleet.load("net", "1.1", TWO)
        fresh = await fleet.load_beside(one)
        assert ({one.slot, other.slot, fresh.slot}, servers.slots.keys()) == ({0, 1, 2}, {0, 1, 2})
        await fleet.put_in_place(fresh)
        await fleet.stop_version(one)
        assert (one.slot, servers.slots.keys()) == (None, {1, 2})
        await fleet.unload(other)
        await fleet.unload(fresh)

    asyncio.run(run())
    assert servers.slots == {}


@pytest.mark.parametrize("beside", [False, True])
def test_what_waits_for_workers_that_ended_is_answered_by_those_that_take_their_place(
    fleet, servers, doors, beside
):
    async def run():
        before = await fleet.load("net", "1.0", TWO)
        lose_workers(before)
        after = await (fleet.load_beside(before) if beside else fleet.load("net", "1.0", TWO))
        return before, after

    before, after = asyncio.run(run())
    assert (before.slot, after.slot, servers.slots) == (None, 0, {0: {}})
    # The doors of the two are told apart, though they are in one slot.
    assert after.door_prefix not in (None, before.door_prefix)


@pytest.mark.parametrize("there_was_one", [False, True])
def test_a_loading_that_fails_gives_its_slot_back(fleet, servers, there_was_one):
    if there_was_one:
        lose_workers(asyncio.run(fleet.load("net", "1.0", TWO)))
    servers.fails = VersionStartError("no way")
    with pytest.raises(VersionStartError):
        asyncio.run(fleet.load("net", "1.0", TWO))
    assert servers.slots == {}
    assert not servers.serves("net", "1.0")  # its slot may be another's now


def test_what_waits_goes_on_waiting_where_a_version_cannot_be_brought_up_beside_itself(fleet, servers):
    """In its slot, which is nobody else's until then."""

    async def run():
        before = await fleet.load("net", "1.0", TWO)
        lose_workers(before)
        servers.fails = VersionStartError("no way")
        with pytest.raises(VersionStartError):
            await fleet.load_beside(before)
        servers.fails = None
        other = await fleet.load("net", "1.1", TWO)
        assert (before.slot, other.slot) == (0, 1)
        fresh = await fleet.load_beside(before)
        assert (before.slot, fresh.slot) == (None, 0)
        await fleet.put_in_place(fresh)
        await fleet.stop_version(before)
        assert servers.slots.keys() == {0, 1}

    asyncio.run(run())


def test_a_loading_that_is_cut_off_gives_its_slot_back(fleet, servers, monkeypatch):
    async def never(loaded):
        await asyncio.Event().wait()

    async def run():
        loading = asyncio.create_task(fleet.load("net", "1.0", TWO))
        await asyncio.sleep(0)
        assert servers.slots == {0: {}}
        loading.cancel()
        await asyncio.wait([loading])

    monkeypatch.setattr(servers, "load", never)
    asyncio.run(run())
    assert servers.slots == {}


def test_a_version_that_is_stopped_gets_no_request_in_the_slot_that_it_had(fleet, servers):
    async def run():
        await fleet.stop_version(await fleet.load("net", "1.0", TWO))

    asyncio.run(run())
    assert servers.routes == {("net", "1.0"): None}


def test_without_a_free_slot_a_version_fails_with_the_reason(fleet, servers, monkeypatch):
    def none_is_free():
        raise FrontError("all slots are taken")

    monkeypatch.setattr(servers, "take_slot", none_is_free)
    with pytest.raises(FrontError):
        asyncio.run(fleet.load("net", "1.0", TWO))
    assert fleet.versions["net", "1.0"].why_not_ready == "all slots are taken"


def test_a_front_that_keeps_a_slot_does_not_keep_workers_running(fleet, servers, monkeypatch):
    async def keep(slot):
        raise FrontError("it keeps a server")

    async def run():
        await fleet.stop_version(await fleet.load("net", "1.0", TWO))

    monkeypatch.setattr(servers, "empty_slot", keep)
    with pytest.raises(FrontError):
        asyncio.run(run())
    assert servers.said[-1] == ("unload", "net", "1.0", 0)
    assert servers.slots == {0: {}}  # nobody else gets it


def test_what_ended_with_torchserve_and_is_not_wanted_leaves_nothing(fleet, servers, forgotten):
    async def run():
        loaded = await fleet.load("net", "1.0", TWO)
        await fleet.drop(loaded, retired=True)

    asyncio.run(run())
    assert servers.said[-1] == ("no route", "net", "1.0", True)
    assert (fleet.versions, servers.slots, forgotten) == ({}, {}, [("net", "1.0", 1)])


def test_who_waits_in_the_slot_is_seen_by_a_glance(fleet, servers):
    async def run():
        loaded = await fleet.load("net", "1.0", TWO)
        servers.waits = {loaded.slot: 7, loaded.slot + 1: 9}
        await fleet.glance()
        return loaded

    assert asyncio.run(run()).queued_requests == 7
