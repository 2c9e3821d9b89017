"""A server as its words, with versions of `net` loaded in it, and a change that is told to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.scripts.supervisor.conftest import Servers

from statehouse.scripts.changes.change import Change
from statehouse.scripts.deployment.file import Deployment, DeploymentFile, VersionSettings, write_deployment
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.progress import Step
from statehouse.scripts.supervisor.desired_state import DesiredState
from statehouse.scripts.supervisor.doors import Doors
from statehouse.scripts.supervisor.fleet import Fleet
from statehouse.scripts.supervisor.running_change import Asked, RunningChange

SETTINGS = VersionSettings(batch_size=8)


class Told(Servers):
    """All servers of a change, and the drain; `busy` has the versions that do not become idle."""

    def __init__(self) -> None:
        super().__init__()
        self.busy: set[str] = set()
        self.process = SimpleNamespace(
            running=True, title="TorchServe", needed=self._needed, refuse_ended=self._refuse_ended
        )

    @asynccontextmanager
    async def _needed(self) -> Any:
        yield

    async def _refuse_ended(self, *, within_seconds: float) -> None:
        pass

    async def remove_canary(self, name: str) -> None:
        self.said.append(("no canary", name))

    async def drain(self, loaded: Any, *, explicit: bool, deadline_seconds: float) -> bool:
        self.said.append(("drain", loaded.version, "all" if explicit else "those of the default"))
        return loaded.version not in self.busy

    @property
    def words(self) -> list[tuple[Any, ...]]:
        """What was said, but for looks and canaries."""
        return [said for said in self.said if said[0] not in ("describe", "no canary")]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def make_change(told: Any, tmp_path: Path) -> Callable[..., Change]:
    """Return a function that makes a change of `net`, whose versions are loaded; the first is the default.

    `change.steps` has what it reported.
    """

    def make(*versions: str, previous: str | None = None, settings: VersionSettings = SETTINGS) -> Change:
        models = {}
        if versions:
            every = dict.fromkeys(versions, settings)
            models = {"net": {"default": versions[0], "previous": previous, "versions": every}}
        deployment = Deployment.model_validate({"models": models, "limits": {"keep_free_bytes": 0}})
        file = tmp_path / "deployment.yaml"
        write_deployment(file, deployment)
        journal = Journal(file)
        doors: Any = Doors(tmp_path, told, request_timeout_seconds=10, say=lambda text: None)
        fleet = Fleet(told, told, doors, told, on_forget=lambda *about: None)
        manifest = SimpleNamespace(checkpoint_bytes=1 << 20)
        store = SimpleNamespace(
            get=lambda name, version: SimpleNamespace(digest="d", manifest=manifest),
            has=lambda name, version: False,
            find=lambda name, version: None,  # interfaces are compared in test_interface.py
        )
        parts: Any = SimpleNamespace(
            desired=DesiredState(deployment, DeploymentFile(file), journal),
            journal=journal,
            fleet=fleet,
            front=told,
            torchserve=told,
            store=store,
            drain=told.drain,
        )

        async def load() -> None:
            for version in versions:
                await fleet.load("net", version, settings)
            if versions:
                await fleet.flip(fleet.versions["net", versions[0]])

        asyncio.run(load())
        told.said.clear()
        steps: list[Step] = []
        change: Any = Change(parts, RunningChange(Asked("test", "net", "me", "here")), steps.append)
        change.steps = steps
        return change

    return make


def notes(change: Any) -> list[str]:
    """What a change has said beside its steps."""
    return [step.text for step in change.steps if step.name == "note"]


def done(change: Any) -> list[str]:
    """The names of the steps that it has done."""
    return [step.name for step in change.steps if step.name != "note" and step.state == "done"]
