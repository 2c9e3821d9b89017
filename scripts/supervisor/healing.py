"""Keeping what runs as desired: TorchServe, the front and workers that end although nobody asked them to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from statehouse.models.errors import StatehouseError
from statehouse.scripts.errors import ServerError
from statehouse.scripts.progress import Report, Step
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState
from statehouse.scripts.supervisor.supervisor import Supervisor

LOOK_SECONDS = 1.0
# TorchServe starts dead workers again by itself at first (GIVE_UP_SECONDS); when it has not by then, we do.
PATIENCE_SECONDS = 8.0
# What cannot be healed is tried again after so long, then after ever longer.
RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0
DRAIN_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 30.0

Key = tuple[str, str]


@dataclass
class Unwell:
    """When to heal a version, and how long to wait after that until the next time."""

    due: float
    retry_seconds: float = RETRY_SECONDS


class Healer:
    """Watches one supervisor's servers until it stops."""

    def __init__(self, supervisor: Supervisor, report: Report) -> None:
        self._supervisor = supervisor
        self._parts = supervisor.parts
        self._fleet = supervisor.parts.fleet
        self._report = report
        self._unwell: dict[Key, Unwell] = {}

    async def run(self) -> None:
        """Heal until cancelled."""
        async with asyncio.TaskGroup() as group:
            for keep in (
                self._keep_the_front,
                self._keep_torchserve,
                self._keep_the_fork_server,
                self._keep_the_versions,
                self._keep_the_certificate,
            ):
                group.create_task(self._again_and_again(keep))

    async def _again_and_again(self, keep: Callable[[], Awaitable[None]]) -> None:
        while not self._parts.turn.stopping:
            try:
                await keep()
            except Exception as error:  # noqa: BLE001 - what serves must go on, and be healed, whatever this is
                self._say(f"healing failed: {error!r}")
                await asyncio.sleep(LOOK_SECONDS)

    # -- the servers

    async def _keep_the_front(self) -> None:
        code = await self._parts.front.process.wait()
        if self._parts.turn.stopping:
            return
        self._say(f"the front ended with exit code {code}; new connections wait while it starts again")
        # What killed it may have killed TorchServe: nothing goes there before it has answered us.
        self._parts.front.hold_all()
        await self._until_it_works(self._start_the_front)
        self._say("the front is back", ok=True)

    async def _start_the_front(self) -> None:
        """Start it and let through what works; if it ends meanwhile, nobody but our caller starts another."""
        front = self._parts.front
        await front.start(self._supervisor.front_listener)
        try:
            async with front.process.needed():
                await self._parts.doors.let_all_through()
        except ServerError:
            await front.kill()
            front.hold_all()
            raise

    async def _keep_torchserve(self) -> None:
        code = await self._parts.torchserve.process.wait()
        if self._parts.turn.stopping:
            return
        self._say(f"TorchServe ended with exit code {code}; requests wait while it starts again")
        for loaded in self._fleet.versions.values():
            loaded.state, loaded.reason = VersionState.LOADING, None
        # All at once: each waits for a front that was killed too, which must not be back without the others.
        await asyncio.gather(*(self._parts.front.hold(*key) for key in list(self._fleet.versions)))
        # A change that runs needs it, fails now, and lets go.
        async with self._parts.turn.lock:
            await self._until_it_works(lambda: self._supervisor.start_torchserve(self._report))
        self._say("TorchServe is back", ok=True)

    async def _keep_the_fork_server(self) -> None:
        code = await self._parts.torchserve.fork_server.wait()
        if self._parts.turn.stopping or not self._parts.torchserve.process.running:
            await asyncio.sleep(LOOK_SECONDS)  # a start of TorchServe starts it too
            return
        self._say(f"the fork server ended with exit code {code}; workers start the long way meanwhile")
        await self._until_it_works(self._parts.torchserve.start_fork_server)
        self._say("the fork server is back", ok=True)

    async def _keep_the_certificate(self) -> None:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            if await self._parts.gate.renew_the_certificate(self._parts.front):
                self._say("the renewed certificate is shown from now on", ok=True)
        except ServerError as error:
            self._say(str(error))

    async def _until_it_works(self, start: Callable[[], Awaitable[None]]) -> None:
        pause_seconds = 0.5
        while not self._parts.turn.stopping:
            try:
                return await start()
            except ServerError as error:
                self._say(f"{error} Trying again in {pause_seconds:g} s.")
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
        return None

    # -- the workers

    async def _keep_the_versions(self) -> None:
        await asyncio.sleep(LOOK_SECONDS)
        await self._fleet.look(fresh=True)
        for loaded in self._unwell_for_too_long():
            async with self._parts.turn.lock:
                await self._heal(loaded)

    def _unwell_for_too_long(self) -> list[LoadedVersion]:
        now, found = time.monotonic(), []
        self._unwell = {key: each for key, each in self._unwell.items() if key in self._fleet.versions}
        for key, loaded in self._fleet.versions.items():
            if loaded.state not in (VersionState.DEGRADED, VersionState.FAILED):
                self._unwell.pop(key, None)
                continue
            patience_seconds = PATIENCE_SECONDS + (loaded.load_seconds or 0)
            unwell = self._unwell.setdefault(key, Unwell(now + patience_seconds))
            if now > unwell.due:
                self._unwell[key] = Unwell(
                    now + unwell.retry_seconds, min(2 * unwell.retry_seconds, LONGEST_RETRY_SECONDS)
                )
                found.append(loaded)
        return found

    async def _heal(self, loaded: LoadedVersion) -> None:
        unwell = loaded.state in (VersionState.DEGRADED, VersionState.FAILED)
        if self._fleet.versions.get((loaded.name, loaded.version)) is not loaded or not unwell:
            return  # while this waited for its turn, a change has seen to it, or it is well again
        what = f"{loaded.name} {loaded.version}"
        ready = f"{loaded.ready_workers} of {loaded.settings.workers} workers"
        self._say(f"{what} is {loaded.state.lower()}, {ready}: starting it again")
        try:
            await self._replace(loaded)
        except (StatehouseError, OSError) as error:
            # It stays as it is and is tried again; what still works of it goes on.
            loaded.reason = str(error)
            self._say(f"{what} cannot be healed now: {error}")
        else:
            self._say(f"{what} is well again", ok=True)

    async def _replace(self, loaded: LoadedVersion) -> None:
        """Bring the same version up once more beside itself, and send requests there."""
        fresh = await self._fleet.load_beside(loaded)
        await self._fleet.put_in_place(fresh)
        if loaded.ready_workers:
            await self._parts.drain(loaded, explicit=True, deadline_seconds=DRAIN_SECONDS)
        await self._fleet.stop_version(loaded)

    def _say(self, text: str, *, ok: bool = False) -> None:
        self._report(Step("heal", text, state="done" if ok else "failed"))
