"""What keeps a server from being ready."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from statehouse.scripts.deployment.file import Deployment, VersionSettings
from statehouse.scripts.supervisor.loaded_version import VersionState
from statehouse.scripts.supervisor.parts import NOTHING_IS_SERVED, ServerParts
from statehouse.scripts.supervisor.turn import Turn

TWO = VersionSettings(workers=2)
DEPLOYMENT = Deployment.model_validate({"models": {"net": {"default": "1.0", "versions": {"1.0": TWO}}}})


@pytest.fixture
def parts(fleet, servers) -> ServerParts:
    """Of a server that has loaded all that is desired."""
    used: dict[str, Any] = {"fleet": fleet, "torchserve": servers, "turn": Turn()}
    used["desired"] = SimpleNamespace(deployment=DEPLOYMENT)
    used["front"] = SimpleNamespace(process=SimpleNamespace(why_not_up=None, title="The front"))
    asyncio.run(fleet.load("net", "1.0", TWO))
    return ServerParts(**dict.fromkeys(ServerParts.__dataclass_fields__) | used)


def missing(parts: ServerParts) -> list[str]:
    return asyncio.run(parts.what_is_missing())


def test_nothing_where_every_version_has_proved_itself(parts):
    assert missing(parts) == []


def test_first_of_all_that_it_stops_or_that_a_server_has_ended(parts, servers):
    servers.process.why_not_up = "is not running"
    parts.front.process.why_not_up = "has not answered for 3 s"
    not_up = ["TorchServe is not running", "The front has not answered for 3 s"]
    assert missing(parts) == parts.what_is_not_up() == not_up
    parts.turn.stopping = True
    assert missing(parts) == ["the server is stopping"]


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        (VersionState.LOADING, None, "2 of 2 workers are ready"),
        (VersionState.STOPPED, "old", "2 of 2 workers are ready"),
        (VersionState.FAILED, "no way", "no way"),
        (VersionState.FAILED, None, "failed"),
    ],
)
def test_a_version_that_is_not_ready_says_why(parts, fleet, state, reason, told):
    loaded = fleet.versions["net", "1.0"]
    loaded.state, loaded.reason = state, reason
    assert missing(parts) == [f"net 1.0: {told}"]


def test_one_that_is_desired_and_not_loaded(parts, fleet):
    fleet.forget("net", "1.0")
    assert missing(parts) == ["net 1.0: not loaded yet"]


def test_what_is_loaded_and_not_desired_is_not_missed(parts, fleet):
    asyncio.run(fleet.load("net", "2.0", TWO))
    fleet.versions["net", "2.0"].state = VersionState.FAILED
    assert missing(parts) == []


def test_where_nothing_is_to_be_served_that_is_missing(parts):
    parts.desired.deployment = Deployment()
    assert missing(parts) == [NOTHING_IS_SERVED]
    assert parts.what_is_not_up() == []
