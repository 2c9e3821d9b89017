"""What is loaded: every version in TorchServe, and the way of its requests through the front."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import TorchServeError
from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.servers.torchserve import TorchServe, WorkersStatus
from statehouse.scripts.supervisor.doors import Doors
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState
from statehouse.scripts.supervisor.loader import VersionLoader
from statehouse.scripts.traffic.counts import GLANCE_SECONDS

# Callers of /ready, /status and the like share one look at TorchServe within this time. They wait GLANCE_SECONDS for
# it, and then are told what was seen last.
FRESH_SECONDS = 0.25
# What TorchServe does not say of a version in this time, it does not say now.
DESCRIBE_SECONDS = 2.0

OnForget = Callable[[str, str, int], None]


class Fleet:
    """The versions of one server. Its methods are the steps of which every change is made.

    Whoever calls one that alters anything holds the turn. ``on_forget`` gets the name and version that is listed no
    more, and the generation that its next loading would have.
    """

    def __init__(
        self,
        front: Front,
        torchserve: TorchServe,
        doors: Doors,
        loader: VersionLoader,
        *,
        on_forget: OnForget,
    ) -> None:
        self.versions: dict[tuple[str, str], LoadedVersion] = {}
        self._front = front
        self._torchserve = torchserve
        self._doors = doors
        self._loader = loader
        self._on_forget = on_forget
        self._generations: dict[tuple[str, str], int] = {}
        self._looked = float("-inf")
        self._look_lock = asyncio.Lock()

    # -- bringing up

    def expect(self, name: str, versions: Mapping[str, VersionSettings]) -> None:
        """List versions that are going to be loaded: whoever asks for one is told that it is loading."""
        for version, settings in versions.items():
            self.versions[name, version] = LoadedVersion(name, version, settings)

    async def load(self, name: str, version: str, settings: VersionSettings) -> LoadedVersion:
        """Bring a version up until it has proved itself, and let requests that name it through.

        Raises StoreError, VersionStartError or TorchServeError; the failed version stays listed, with its
        reason, until it is forgotten.
        """
        before = self.versions.get((name, version))
        loaded = self.versions[name, version] = LoadedVersion(
            name, version, settings, generation=self._next_generation(name, version)
        )
        try:
            await self._load(loaded, before)
        except Exception as error:
            loaded.state, loaded.reason = VersionState.FAILED, str(error)
            raise
        await self.let_through(loaded)
        return loaded

    async def _load(self, loaded: LoadedVersion, before: LoadedVersion | None = None) -> None:
        """Load it into a slot: that of ``before``, whose workers have ended, so that what waits there is answered."""
        if before is None or before.slot is None:
            self._doors.expect(loaded, self._front.take_slot())
        else:
            slot, before.slot = before.slot, None
            self._doors.expect(loaded, slot)
        try:
            if before is not None:
                await self._doors.forget(before)
            await self._loader.load(loaded)
        except BaseException:
            # One that stays listed is tried again, and what waits in its slot waits for that.
            is_listed = before is not None and self.versions.get((before.name, before.version)) is before
            await self._leave_slot(loaded, before if is_listed else None)
            raise

    async def _leave_slot(self, loaded: LoadedVersion, heir: LoadedVersion | None = None) -> None:
        """Give its slot back, or on to ``heir``."""
        slot, loaded.slot = loaded.slot, None
        if slot is None:
            return
        await self._doors.forget(loaded)
        await self._front.empty_slot(slot)
        if heir is not None:
            heir.slot = slot
        else:
            await self._front.give_back_slot(slot)

    async def load_beside(
        self, loaded: LoadedVersion, settings: VersionSettings | None = None
    ) -> LoadedVersion:
        """Bring the same version up once more, beside itself and not listed; raises as `load` does."""
        fresh = LoadedVersion(
            loaded.name,
            loaded.version,
            settings or loaded.settings,
            generation=self._next_generation(loaded.name, loaded.version),
        )
        await self._load(fresh, None if loaded.doors else loaded)
        return fresh

    async def put_in_place(self, fresh: LoadedVersion) -> None:
        """Send a version's requests to a fresh loading of it, which has proved itself."""
        self.versions[fresh.name, fresh.version] = fresh
        await self.let_through(fresh)
        if self._front.default_of(fresh.name) == fresh.version:
            await self.flip(fresh)

    async def let_through(self, loaded: LoadedVersion) -> None:
        """Send requests that name a version to its workers."""
        await self._doors.let_through(loaded)

    async def flip(self, loaded: LoadedVersion) -> None:
        """Send requests without a version to this one from now on, gRPC's as well."""
        await self._torchserve.set_default(loaded.registration)
        await self._front.set_default(loaded.name, loaded.version)

    def _next_generation(self, name: str, version: str) -> int:
        # What TorchServe is told is used once in one TorchServe: DELETE returns before all of it is gone.
        used = self._generations.get((name, version), -1) + 1
        self._generations[name, version] = used
        return used

    # -- taking away

    async def refuse_retired(self, loaded: LoadedVersion) -> None:
        """Refuse requests that name a version, and those that name none if it was the default."""
        await self._doors.refuse(loaded, retired=True)
        if self._front.default_of(loaded.name) == loaded.version:
            await self._front.remove_default(loaded.name)

    async def unload(self, loaded: LoadedVersion) -> None:
        """Take a version out of the front, of TorchServe, of the list and of the metrics."""
        await self._doors.refuse(loaded)
        await self.stop_version(loaded)
        self.forget(loaded.name, loaded.version)

    async def stop_version(self, loaded: LoadedVersion) -> None:
        """Take a version out of TorchServe; it stays listed."""
        registered = loaded.state not in (VersionState.FAILED, VersionState.STOPPED)
        loaded.state = VersionState.STOPPED
        if registered:
            await self.assert_default(loaded.name, but=loaded)
        try:
            await self._leave_slot(loaded)
        finally:
            if registered:
                await self._loader.unload(loaded)

    async def drop(self, loaded: LoadedVersion, *, retired: bool) -> None:
        """List a version no more that ended with TorchServe, and refuse requests that name it."""
        await self._doors.refuse(loaded, retired=retired)
        await self._leave_slot(loaded)
        self.forget(loaded.name, loaded.version)

    def forget(self, name: str, version: str) -> None:
        """List a version no more, and drop what is kept of it."""
        if self.versions.pop((name, version), None) is not None:
            # One that is only expected has none yet.
            self._on_forget(name, version, self._generations.get((name, version), -1) + 1)

    async def assert_default(self, name: str, *, but: LoadedVersion | None = None) -> None:
        """Make TorchServe's default, which gRPC gets and DELETE refuses, one that stays."""
        working = [each for each in self.versions.values() if each.name == name and each.works]
        staying = [each for each in working if each is not but]
        default = self._front.default_of(name)
        for each in sorted(staying, key=lambda each: each.version != default)[:1]:
            if self._torchserve.process.running:
                await self._torchserve.set_default(each.registration)

    # -- looking

    async def glance(self) -> None:
        """Look, for one who must be answered soon, whatever hangs: wait GLANCE_SECONDS at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GLANCE_SECONDS):
                await asyncio.gather(self.look(), self._count_waiting())

    async def _count_waiting(self) -> None:
        # Of all slots that costs the front milliseconds: for who asks, and not for each look.
        waiting = await self._front.waiting()
        for loaded in self.versions.values():
            loaded.waiting_requests = 0 if loaded.slot is None else waiting.get(loaded.slot, 0)

    async def look(self, *, fresh: bool = False) -> None:
        """Ask TorchServe for the workers of every version, at most once per FRESH_SECONDS.

        While it is silent, what was seen last stays: `ServerProcess` says that it does not answer.
        """
        async with self._look_lock:
            if not fresh and time.monotonic() - self._looked < FRESH_SECONDS:
                return
            with contextlib.suppress(TimeoutError):
                for loaded in list(self.versions.values()):
                    await self._observe(loaded)
            self._looked = time.monotonic()

    async def _observe(self, loaded: LoadedVersion) -> None:
        if not loaded.works:
            return
        try:
            async with asyncio.timeout(DESCRIBE_SECONDS):
                status = await self._torchserve.describe(loaded.registration)
        except TorchServeError:
            # It, or TorchServe, has ended meanwhile: whoever ended it or starts it again says what it is now.
            if not loaded.works or not self._torchserve.process.running:
                return
            status = WorkersStatus()
        loaded.observe(status)
        if loaded.works:
            loaded.last_words = None if loaded.ready_workers else self._loader.last_words(loaded)
