"""When something is healed, how often, and never twice; real servers are killed in tests/faults."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from tests.scripts.supervisor.conftest import lose_workers

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import (
    CertificateError,
    FrontError,
    ServerEndedError,
    ServerStartError,
    VersionStartError,
)
from statehouse.scripts.supervisor import healing
from statehouse.scripts.supervisor.healing import (
    LONGEST_RETRY_SECONDS,
    PATIENCE_SECONDS,
    RETRY_SECONDS,
    Healer,
)
from statehouse.scripts.supervisor.loaded_version import VersionState
from statehouse.scripts.supervisor.turn import Turn

KEY = ("net", "1.0")
TWO = VersionSettings(workers=2, batch_size=8)


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    """What was slept, without waiting for it."""
    found: list[float] = []
    really = asyncio.sleep

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        await really(0)

    monkeypatch.setattr(healing.asyncio, "sleep", sleep)
    return found


@pytest.fixture
def clock(monkeypatch) -> Any:
    """A clock that stands still; `clock.now` sets it."""
    told = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(healing, "time", SimpleNamespace(monotonic=lambda: told.now))
    return told


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def healer(fleet, servers, doors, said, slept) -> Healer:
    async def note(*words: Any) -> bool:
        servers.said.append(words)
        return True

    def hold_all() -> None:
        servers.said.append(("hold all",))
        servers.routes = dict.fromkeys(servers.routes)

    servers.hold_all = hold_all
    servers.kill = lambda: note("kill the front")
    servers.start = lambda listener: note("start the front")
    servers.start_fork_server = lambda: note("start the fork server")
    servers.fork_server = SimpleNamespace()
    parts = SimpleNamespace(
        fleet=fleet,
        front=servers,
        doors=doors,
        torchserve=servers,
        turn=Turn(),
        gate=SimpleNamespace(),
        drain=lambda loaded, **about: note("drain", loaded.version, loaded.generation),
    )
    supervisor: Any = SimpleNamespace(
        parts=parts,
        front_listener=None,
        start_torchserve=lambda report: note("start TorchServe"),
    )
    asyncio.run(fleet.load(*KEY, TWO))
    servers.said.clear()
    return Healer(supervisor, lambda step: said.append((step.state, step.text)))


@pytest.fixture
def loaded(healer, fleet) -> Any:
    return fleet.versions[KEY]


def words(servers: Any) -> list[Any]:
    return [about for about in servers.said if about[0] != "describe"]


# -- when


def test_a_version_that_lacks_workers_is_healed_once_torchserve_had_its_time(healer, loaded, clock):
    loaded.load_seconds = 3.0
    lose_workers(loaded)
    assert healer._unwell_for_too_long() == []
    clock.now += PATIENCE_SECONDS + 3.0
    assert healer._unwell_for_too_long() == []
    clock.now += 0.1
    assert healer._unwell_for_too_long() == [loaded]
    assert healer._unwell_for_too_long() == []


def test_it_is_tried_again_after_ever_longer(healer, loaded, clock):
    lose_workers(loaded)
    tried = []
    while clock.now < 3000:
        if healer._unwell_for_too_long():
            tried.append(clock.now)
        clock.now += 0.5
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    expected = [min(RETRY_SECONDS * 2**number, LONGEST_RETRY_SECONDS) + 0.5 for number in range(len(pauses))]
    assert len(pauses) > 7
    assert pauses == expected
    assert pauses[-1] == LONGEST_RETRY_SECONDS + 0.5


def test_who_is_well_again_in_between_has_its_time_anew(healer, loaded, clock):
    lose_workers(loaded)
    healer._unwell_for_too_long()
    clock.now += PATIENCE_SECONDS + 1
    loaded.state = VersionState.READY
    assert healer._unwell_for_too_long() == []
    loaded.state = VersionState.DEGRADED
    assert healer._unwell_for_too_long() == []


def test_what_is_gone_is_forgotten(healer, loaded, fleet, clock):
    lose_workers(loaded)
    healer._unwell_for_too_long()
    fleet.forget(*KEY)
    clock.now += 1000
    assert healer._unwell_for_too_long() == []
    assert healer._unwell == {}


@pytest.mark.parametrize("state", [VersionState.LOADING, VersionState.STOPPED])
def test_what_somebody_loads_or_has_stopped_is_not_unwell(healer, loaded, clock, state):
    loaded.state = state
    healer._unwell_for_too_long()
    clock.now += 1000
    assert healer._unwell_for_too_long() == []


# -- what


def test_the_same_version_is_brought_up_beside_itself(healer, loaded, fleet, servers, said):
    lose_workers(loaded, left=1)
    asyncio.run(healer._heal(loaded))
    assert words(servers) == [
        ("route", "net", "1.0", "1.0-g1"),
        ("drain", "1.0", 0),
        ("TorchServe's default", "1.0-g1"),
        ("unload", "net", "1.0", 0),
    ]
    assert fleet.versions[KEY].generation == 1
    assert said == [
        ("failed", "net 1.0 is degraded, 1 of 2 workers: starting it again"),
        ("done", "net 1.0 is well again"),
    ]


def test_without_workers_there_is_nothing_to_wait_for(healer, loaded, servers):
    lose_workers(loaded)
    asyncio.run(healer._heal(loaded))
    assert ("drain", "1.0", 0) not in servers.said


def test_what_cannot_be_healed_stays_as_it_is_with_its_reason(healer, loaded, fleet, servers, said):
    lose_workers(loaded, left=1)
    servers.fails = VersionStartError("no memory")
    asyncio.run(healer._heal(loaded))
    assert fleet.versions[KEY] is loaded
    assert (loaded.state, loaded.reason, loaded.ready_workers) == (VersionState.DEGRADED, "no memory", 1)
    assert said[-1] == ("failed", "net 1.0 cannot be healed now: no memory")
    assert words(servers) == []


def test_nothing_is_healed_twice(healer, loaded, fleet, said):
    lose_workers(loaded)
    asyncio.run(healer._heal(loaded))
    fresh = fleet.versions[KEY]
    asyncio.run(healer._heal(loaded))
    asyncio.run(healer._heal(fresh))
    assert fleet.versions[KEY] is fresh
    assert len(said) == 2


def test_what_another_loading_has_taken_the_place_of_is_not_healed(healer, loaded, fleet, said):
    lose_workers(loaded)

    async def replace() -> None:
        await fleet.put_in_place(await fleet.load_beside(loaded))
        await healer._heal(loaded)

    asyncio.run(replace())
    assert (loaded.state, said) == (VersionState.DEGRADED, [])


def test_what_a_change_has_seen_to_meanwhile_is_not_healed(healer, loaded, clock, said):
    lose_workers(loaded)
    healer._unwell_for_too_long()
    clock.now += 1000

    async def run() -> None:
        async with healer._parts.turn.lock:  # a change that runs
            keeping = asyncio.create_task(healer._keep_the_versions())
            await asyncio.wait([keeping], timeout=0.02)
            loaded.state = VersionState.READY
        await keeping

    asyncio.run(run())
    assert said == []


# -- the servers


def ends_with(code: int) -> Any:
    async def wait() -> int:
        return code

    return wait


def test_a_front_that_ended_is_started_until_it_works_and_told_what_works(healer, servers, said, slept):
    servers.process.wait = ends_with(139)
    failures = [ServerStartError("port taken")] * 8

    async def start(listener: Any) -> None:
        if failures:
            raise failures.pop()

    servers.start = start
    asyncio.run(healer._keep_the_front())
    assert slept == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert words(servers) == [("hold all",), ("route", "net", "1.0", "1.0-g0")]
    assert said[0] == (
        "failed",
        "the front ended with exit code 139; new connections wait while it starts again",
    )
    assert said[1] == ("failed", "port taken Trying again in 0.5 s.")
    assert said[-1] == ("done", "the front is back")


def test_a_front_that_ends_while_it_is_told_what_works_is_started_again(healer, servers, said, slept):
    """Nobody else starts another: whoever waited for it here would wait for ever, and the clients with him."""
    servers.process.wait = ends_with(139)
    servers.refusals = [ServerEndedError("the front ended meanwhile"), FrontError("it said nothing")]
    asyncio.run(healer._keep_the_front())
    told = [("hold all",), ("start the front",), ("kill the front",), ("hold all",)]
    assert words(servers) == [told[0], *2 * told[1:], told[1], ("route", "net", "1.0", "1.0-g0")]
    assert slept == [0.5, 1]
    assert servers.needed == 3


@pytest.mark.parametrize("what", ["its workers ended", "it was retired", "TorchServe ended"])
def test_a_front_that_is_back_lets_no_more_through_than_before(healer, loaded, fleet, servers, what):
    if what == "its workers ended":
        lose_workers(loaded)
    elif what == "it was retired":
        asyncio.run(fleet.refuse_retired(loaded))
    else:
        loaded.state = VersionState.LOADING
    servers.said.clear()
    servers.process.wait = ends_with(139)
    asyncio.run(healer._keep_the_front())
    assert words(servers) == [("hold all",), ("start the front",)]


def test_a_torchserve_that_ended_is_started_again_while_requests_wait(healer, loaded, servers, said):
    servers.process.wait = ends_with(137)
    asyncio.run(healer._keep_torchserve())
    assert loaded.state is VersionState.LOADING
    assert words(servers) == [("hold", "net", "1.0"), ("start TorchServe",)]
    assert said[-1] == ("done", "TorchServe is back")


def test_a_fork_server_is_started_again_unless_torchserve_will_start_it(healer, servers, said):
    servers.fork_server.wait = ends_with(1)
    asyncio.run(healer._keep_the_fork_server())
    assert words(servers) == [("start the fork server",)]
    servers.said.clear()
    servers.process.running = False
    asyncio.run(healer._keep_the_fork_server())
    assert words(servers) == []


def test_nothing_is_started_while_the_server_stops(healer, loaded, servers, said):
    for process in (servers.process, servers.fork_server):
        process.wait = ends_with(0)
    healer._parts.turn.stopping = True
    for keep in (healer._keep_the_front, healer._keep_torchserve, healer._keep_the_fork_server):
        asyncio.run(keep())
    assert (words(servers), said, loaded.state) == ([], [], VersionState.READY)


def test_a_renewed_certificate_is_told_and_one_that_cannot_be_used(healer, said):
    async def renew(front: Any) -> bool:
        raise CertificateError("it is broken")

    healer._parts.gate.renew_the_certificate = renew
    asyncio.run(healer._keep_the_certificate())

    async def renewed(front: Any) -> bool:
        return True

    healer._parts.gate.renew_the_certificate = renewed
    asyncio.run(healer._keep_the_certificate())
    assert said == [("failed", "it is broken"), ("done", "the renewed certificate is shown from now on")]


def test_a_fault_of_ours_is_told_and_healing_goes_on(healer, said, slept):
    times = []

    async def keep() -> None:
        times.append(1)
        if len(times) == 3:
            healer._parts.turn.stopping = True
        raise KeyError("ours")

    asyncio.run(healer._again_and_again(keep))
    assert said == [("failed", "healing failed: KeyError('ours')")] * 3
    assert slept == [healing.LOOK_SECONDS] * 3
