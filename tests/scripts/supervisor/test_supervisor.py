"""The start and the stop of a server, told to parts that only note it; real ones start in tests/e2e."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from statehouse.scripts.deployment.file import Deployment
from statehouse.scripts.errors import ServerEndedError, VersionStartError
from statehouse.scripts.supervisor.loaded_version import VersionState
from statehouse.scripts.supervisor.parts import ServerParts
from statehouse.scripts.supervisor.supervisor import Supervisor
from statehouse.scripts.supervisor.turn import Turn

DEPLOYMENT = Deployment.model_validate(
    {"models": {"net": {"default": "1.1", "versions": {"1.0": {}, "1.1": {}}}}}
)


@pytest.fixture
def told(servers) -> list[Any]:
    return servers.said


@pytest.fixture
def supervisor(fleet, servers, told, doors) -> Supervisor:
    async def say(*about: Any) -> None:
        told.append(about)

    async def runs_on(*, within_seconds: float) -> None:
        pass

    def noting(**others: Any) -> Any:
        process = SimpleNamespace(running=True, why_not_up=None, title="a server", refuse_ended=runs_on)
        return SimpleNamespace(process=process, **others)

    def expect(name: str, versions: Any, default: str) -> None:
        told.append(("expect", name, *versions, default))
        servers.routes |= {(name, version): None for version in versions}

    servers.expect = expect
    servers.set_down = lambda *about, why: say("down", *about, why.partition(".")[0])
    servers.drain = lambda: say("drain the front")
    servers.start = lambda listener: say("start the front", listener.name)
    torchserve = noting(start=lambda: say("start TorchServe"), stop=lambda: say("stop TorchServe"))
    closed = SimpleNamespace(close=lambda: told.append(("closed",)), name="the listener")
    unused: dict[str, Any] = dict.fromkeys(
        (
            *("journal", "change_counts", "drain", "gate", "store", "snapshots", "code_on_disk"),
            *("runtime", "traffic", "problems"),
        )
    )
    parts = ServerParts(
        desired=SimpleNamespace(deployment=DEPLOYMENT),
        fleet=fleet,
        turn=Turn(),
        front=servers,
        doors=doors,
        torchserve=torchserve,
        addresses=SimpleNamespace(url=lambda which: "http://here"),
        metrics=SimpleNamespace(rows_in_flight=lambda: 0),
        outcomes=closed,
        log=SimpleNamespace(step=lambda step: None, close=closed.close),
        recent=None,
        **unused,
    )
    return Supervisor(parts, front_listener=closed, reader_listener=closed)


def words(told: list[Any]) -> list[str]:
    return [about[0] for about in told if about[0] != "describe"]


def test_requests_wait_from_before_torchserve_starts_until_a_version_has_proved_itself(supervisor, told):
    steps: list[Any] = []
    asyncio.run(supervisor.start(steps.append))
    assert words(told) == [
        *("expect", "start the front", "hold", "hold", "start TorchServe"),
        *("route", "TorchServe's default", "default", "route"),
    ]
    assert [step.text for step in steps][2:] == ["net 1.1", "net 1.0"]
    assert asyncio.run(supervisor.parts.what_is_missing()) == []


def test_a_change_that_is_asked_for_while_it_starts_waits_from_the_first(supervisor, servers):
    held: list[bool] = []

    async def start(listener: Any) -> None:
        held.append(supervisor.parts.turn.lock.locked())

    servers.start = start
    asyncio.run(supervisor.start(lambda step: None))
    assert held == [True]


def test_a_version_that_cannot_start_is_down_and_missing_and_keeps_no_other_from_it(
    supervisor, servers, told
):
    servers.fails = VersionStartError("no way")
    steps: list[Any] = []
    asyncio.run(supervisor.start(steps.append))
    assert [step.state for step in steps[2:]] == ["failed", "failed"]
    why = "its workers cannot be started"
    assert [about[1:] for about in told if about[0] == "down"] == [("net", "1.1", why), ("net", "1.0", why)]
    assert servers.defaults == {"net": "1.1"}
    assert asyncio.run(supervisor.parts.what_is_missing()) == ["net 1.0: no way", "net 1.1: no way"]


def test_requests_go_on_waiting_where_torchserve_itself_ends_meanwhile(supervisor, servers, told):
    async def ends(*, within_seconds: float) -> None:
        raise ServerEndedError("TorchServe ended meanwhile.")

    servers.fails = VersionStartError("it does not answer")
    supervisor.parts.torchserve.process.refuse_ended = ends
    asyncio.run(supervisor.start(lambda step: None))
    assert "down" not in words(told)


def test_a_stop_answers_what_is_in_flight_before_torchserve_ends(supervisor, told):
    asyncio.run(supervisor.stop())
    assert words(told) == ["closed", "drain the front", "stop TorchServe", "closed", "closed"]
    assert asyncio.run(supervisor.parts.what_is_missing()) == ["the server is stopping"]


def test_a_server_that_has_ended_is_what_is_missing(supervisor, servers):
    servers.process.why_not_up = "is not running"
    assert asyncio.run(supervisor.parts.what_is_missing()) == ["TorchServe is not running"]


def test_what_is_not_loaded_yet_is_missing(supervisor):
    missing = asyncio.run(supervisor.parts.what_is_missing())
    assert missing == ["net 1.0: not loaded yet", "net 1.1: not loaded yet"]


def test_from_the_start_all_that_is_going_to_be_loaded_is_listed(supervisor, fleet):
    seen: list[Any] = []

    async def start() -> None:
        seen.extend((*key, each.state) for key, each in fleet.versions.items())

    supervisor.parts.torchserve.start = start
    asyncio.run(supervisor.start(lambda step: None))
    assert seen == [("net", "1.0", VersionState.LOADING), ("net", "1.1", VersionState.LOADING)]
