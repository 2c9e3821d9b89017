"""What an aborted change comes to: the server as it was before, whichever of its steps was cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from statehouse.models.errors import StatehouseError
from statehouse.scripts.changes.change import Change
from statehouse.scripts.changes.retire import DRAIN_SECONDS
from statehouse.scripts.changes.settings import reconfigure
from statehouse.scripts.deployment.edits import holds
from statehouse.scripts.deployment.file import Deployment, VersionSettings
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState
from statehouse.scripts.supervisor.parts import ServerParts

Key = tuple[str, str]


@dataclass(frozen=True)
class Before:
    """What was desired before a change, and what worked, with the settings that it had."""

    desired: Deployment
    working: dict[Key, VersionSettings]

    @classmethod
    def of(cls, parts: ServerParts) -> Before:
        """Return what is now."""
        loaded = parts.fleet.versions.items()
        return cls(parts.desired.deployment, {key: each.settings for key, each in loaded if each.works})


async def go_back(change: Change, before: Before) -> list[str]:
    """Undo all that an aborted change has done; return what of this could not be done.

    It is journalled first: from here on an interruption undoes the change as well. Clients are sent back immediately,
    then what has gone is brought back, then what was new goes. What TorchServe's end keeps from being done, its next
    start does, which loads what is desired.
    """
    change.running.undoing = True
    change.undecide(before.desired)
    undo = _Undo(change, before)
    await undo.send_back()
    await undo.bring_back()
    undo.desire()
    await undo.take_away()
    return undo.left


class _Undo:
    def __init__(self, change: Change, before: Before) -> None:
        self._change = change
        self._before = before
        self._models = dict(before.desired.models)  # that are to be desired
        self.left: list[str] = []

    async def send_back(self) -> None:
        """Send clients where they were sent before, as far as that is still loaded."""
        change = self._change
        async with change.step("roll back", "requests go where they went before", undoing=True):
            for name in {*self._models, *change.desired.deployment.models}:
                with self._told():
                    await change.front.remove_canary(name)
            for key in self._before.working:
                loaded = change.fleet.versions.get(key)
                if loaded is not None and loaded.works and loaded.doors:
                    with self._told():
                        await change.fleet.let_through(loaded)  # it may have been on hold
                        await self._make_default(*key)

    async def _make_default(self, name: str, version: str) -> None:
        model = self._before.desired.models.get(name)
        if model is not None and model.default == version != self._change.front.default_of(name):
            await self._change.front.set_default(name, version)

    async def bring_back(self) -> None:
        """Load again what was stopped or retired, and run with its settings what has others now."""
        change = self._change
        for (name, version), settings in self._before.working.items():
            if not change.torchserve.process.running:
                return
            loaded = change.fleet.versions.get((name, version))
            with self._told(name):
                if loaded is None or not loaded.works:
                    async with change.step("restore", f"{name} {version} loaded again", undoing=True):
                        await change.fleet.load(name, version, settings)
                    await self._make_default(name, version)
                elif loaded.settings != settings:
                    await reconfigure(change.for_model(name), version, settings, desired=False)

    def desire(self) -> None:
        """Desire what was desired; a version that was being loaded and did not work before is healed later."""
        for key, loaded in self._change.fleet.versions.items():
            if loaded.state is VersionState.LOADING and key not in self._before.working:
                loaded.state, loaded.reason = VersionState.FAILED, "its loading was aborted"
        with self._told():
            desired = self._before.desired.model_copy(update={"models": self._models})
            self._change.desired.insist_on(desired)

    async def take_away(self) -> None:
        """Unload what was not there before, once nothing is left in flight in it."""
        change = self._change
        for loaded in list(change.fleet.versions.values()):
            if not holds(change.desired.deployment, loaded.name, loaded.version):
                with self._told():
                    await self._unload(loaded)
        for name in self._models:
            with self._told():
                await change.fleet.assert_default(name)

    async def _unload(self, loaded: LoadedVersion) -> None:
        change, text = self._change, f"{loaded.name} {loaded.version} unloaded"
        async with change.step("unload", text, undoing=True, seconds=DRAIN_SECONDS, at_most=True):
            if loaded.name not in self._models:
                await change.front.remove_default(loaded.name)
            await change.drain(loaded, explicit=True, deadline_seconds=DRAIN_SECONDS)
            await change.fleet.unload(loaded)

    @contextmanager
    def _told(self, name: str | None = None) -> Iterator[None]:
        """Go on past what cannot be done. What has replaced a model that cannot be brought back goes on serving."""
        try:
            yield
        except (StatehouseError, OSError) as error:
            self.left.append(str(error))
            self._change.say(str(error), failed=True)
            now = self._change.desired.deployment.models
            if name in now:
                self._models[name] = now[name]
