"""Servers as their words: what is said to the front and to TorchServe, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from statehouse.scripts.errors import TorchServeError
from statehouse.scripts.servers.haproxy import Door
from statehouse.scripts.servers.torchserve import Registration, WorkersStatus, WorkerStatus
from statehouse.scripts.supervisor.doors import Doors
from statehouse.scripts.supervisor.fleet import Fleet
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState

SLOTS = 8


class Servers:
    """Stands where the front, TorchServe and the loader do; `said` has what they were told.

    A version that is loaded has all its doors at once, and what doors do as workers come and go is in test_doors.py.
    """

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.defaults: dict[str, str] = {}
        self.routes: dict[tuple[str, str], str | None] = {}  # a loading of each version; None: requests wait
        self.slots: dict[int, dict[str, Door]] = {}  # those that are taken, with the doors in them
        self.fails: Exception | None = None
        self.refusals: list[
            Exception
        ] = []  # of the front, one for each time that it is told of a door or a route
        self.needed = 0  # how often what follows could not go on without the process
        self.process = SimpleNamespace(
            running=True, title="TorchServe", why_not_up=None, needed=self._note_need
        )
        self.requests_in_flight: dict[str, int] = {}
        self.queued_requests = 0
        self.waits: dict[int, int] = {}
        self.last_error: str | None = None

    @asynccontextmanager
    async def _note_need(self) -> AsyncIterator[None]:
        self.needed += 1
        yield

    def _refuse(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)

    # the front

    def default_of(self, name: str) -> str | None:
        return self.defaults.get(name)

    async def set_default(self, *about: Any) -> None:
        if isinstance(about[0], Registration):  # TorchServe's
            self.said.append(("TorchServe's default", about[0].torchserve_version))
        else:
            self.defaults[about[0]] = about[1]
            self.said.append(("default", *about))

    async def set_route(self, name: str, version: str, slot: int, *, load_id: str, digest: str) -> None:
        self._refuse()
        assert slot in self.slots
        self.routes[name, version] = load_id
        self.said.append(("route", name, version, load_id))

    def serves(self, name: str, version: str) -> bool:
        return self.routes.get((name, version)) is not None

    async def hold(self, name: str, version: str, why: str | None = None) -> None:
        if (name, version) in self.routes:
            self.routes[name, version] = None
            self.said.append(("hold", name, version, *filter(None, [why])))

    async def remove_route(self, name: str, version: str, *, retired: bool = False) -> None:
        self.routes.pop((name, version), None)
        self.said.append(("no route", name, version, retired))

    async def remove_default(self, name: str) -> None:
        self.defaults.pop(name, None)
        self.said.append(("no default", name))

    async def in_flight(self, name: str, load_id: str, how: str) -> int:
        return self.requests_in_flight.get(how, 0)

    def take_slot(self) -> int:
        slot = next(slot for slot in range(SLOTS) if slot not in self.slots)
        self.slots[slot] = {}
        return slot

    async def give_back_slot(self, slot: int) -> None:
        assert not self.slots.pop(slot)

    async def empty_slot(self, slot: int) -> None:
        self.slots[slot].clear()

    async def add_door(self, slot: int, door: Door) -> None:
        self._refuse()
        self.slots[slot][door.worker] = door
        self.said.append(("door", slot, door.worker))

    async def remove_door(self, slot: int, worker: str) -> None:
        self._refuse()
        self.slots[slot].pop(worker, None)
        self.said.append(("no door", slot, worker))

    async def rest_door(self, slot: int, worker: str) -> None:
        self.said.append(("rest", slot, worker))

    async def wake_door(self, slot: int, worker: str) -> None:
        self.said.append(("wake", slot, worker))

    async def set_most_waiting(self, slot: int, most: int | None) -> None:
        self.said.append(("most waiting", slot, most))

    # TorchServe

    async def waiting(self) -> dict[int, int]:
        return self.waits

    async def describe(self, registration: Registration) -> WorkersStatus:
        self.said.append(("describe", registration.torchserve_version))
        if self.fails:
            raise self.fails
        count = registration.worker_count
        workers = tuple(WorkerStatus(str(n), "READY", 1, on_gpu=False) for n in range(count))
        return WorkersStatus(workers, self.queued_requests)

    # the loader

    def last_words(self, loaded: LoadedVersion) -> str | None:
        return self.last_error

    async def load(self, loaded: LoadedVersion) -> None:
        if self.fails:
            raise self.fails
        loaded.state = VersionState.READY
        loaded.doors = set(range(loaded.settings.workers))
        loaded.observe(await self.describe(loaded.registration))

    async def unload(self, loaded: LoadedVersion) -> None:
        self.said.append(("unload", loaded.name, loaded.version, loaded.generation))


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def forgotten() -> list[tuple[str, str, int]]:
    return []


@pytest.fixture
def doors(servers: Any, tmp_path: Path) -> Doors:
    return Doors(tmp_path, servers, request_timeout_seconds=10, say=lambda text: None)


@pytest.fixture
def fleet(servers: Any, doors: Doors, forgotten: list[tuple[str, str, int]]) -> Fleet:
    return Fleet(servers, servers, doors, servers, on_forget=lambda *about: forgotten.append(about))


@pytest.fixture
def gone() -> TorchServeError:
    return TorchServeError("it does not answer")


def lose_workers(loaded: LoadedVersion, *, left: int = 0) -> None:
    """Let workers of a version have ended, but for so many."""
    loaded.doors = set(sorted(loaded.doors)[:left])
    loaded.count_doors()
