"""A loaded version with other settings: a fresh lane of it beside the old one, then a flip between the two."""

from __future__ import annotations

from models.errors import StatehouseError
from scripts.change import Change, undo_desired
from scripts.deployment import Deployment, VersionSettings
from scripts.desired import with_version
from scripts.drain import drain
from scripts.errors import ChangeError
from scripts.loaded_version import LoadedVersion
from scripts.memory import refuse_if_too_large

DRAIN_SECONDS = 30.0


async def reconfigure(
    change: Change, version: str, settings: VersionSettings, *, desired: bool = True
) -> None:
    """Run ``version`` with ``settings`` (workers, batch size, …) without losing a request.

    TorchServe's own scale-down kills workers with what they have in flight; a lane that nobody uses
    any more has none. What is not ``desired`` is only tried: the deployment file says nothing of it.
    """
    supervisor, name = change.supervisor, change.name
    old = find(change, version)
    describe(change, version, settings)
    refuse_if_too_large(supervisor, name, version, settings, hint="Retire another version")
    fresh = supervisor.successor_of(old, settings)
    async with change.step(
        "load", f"{name} {version} ready in {settings.total_workers} workers, {told(settings)}"
    ):
        await supervisor.loader.load(fresh)
    await _flip(change, old, fresh, desired=desired)
    async with change.step("drain", "nothing is left in flight in the old workers"):
        drained = await drain(supervisor, old, explicit=True, deadline_seconds=DRAIN_SECONDS)
        await supervisor.stop_version(old)
    if not drained:
        change.say(f"the old workers still had requests in flight after {DRAIN_SECONDS:g} s", failed=True)


async def _flip(change: Change, old: LoadedVersion, fresh: LoadedVersion, *, desired: bool) -> None:
    supervisor, name, version = change.supervisor, fresh.name, fresh.version
    desired_before = supervisor.deployment
    wanted = with_version(desired_before, name, version, fresh.settings) if desired else desired_before
    if desired:
        change.decide(wanted)
    async with change.step("flip", f"{name} {version} is served by them"):
        try:
            if desired:
                supervisor.desire(wanted)
            await supervisor.put_in_place(fresh)
        except Exception:
            await _put_back(change, old, fresh, desired_before)
            raise


async def _put_back(
    change: Change, old: LoadedVersion, fresh: LoadedVersion, desired_before: Deployment
) -> None:
    """Send requests to the old workers again; what of this cannot be is told."""
    supervisor = change.supervisor
    try:
        undo_desired(change, desired_before)
        await supervisor.put_in_place(old)
        await supervisor.stop_version(fresh)
    except StatehouseError as error:
        change.say(str(error), failed=True)


async def keep(change: Change, version: str, settings: VersionSettings) -> None:
    """Make the settings that ``version`` runs with, as a trial, the desired ones."""
    supervisor = change.supervisor
    describe(change, version, settings)
    wanted = with_version(supervisor.deployment, change.name, version, settings)
    change.decide(wanted)
    async with change.step("write", f"{change.name} {version} keeps {told(settings)}"):
        supervisor.desire(wanted)


def describe(change: Change, version: str, settings: VersionSettings) -> None:
    """Put into the journal's entry what a version is to run with."""
    plain = settings.model_dump(mode="json", exclude_none=True)
    change.entry["to"] = (change.described(version) or {}) | {"settings": plain}


def find(change: Change, version: str) -> LoadedVersion:
    """Return a version that is loaded and works; ChangeError when there is none."""
    loaded = change.supervisor.versions.get((change.name, version))
    if loaded is None or not loaded.works:
        others = [v for (n, v), each in change.supervisor.versions.items() if n == change.name and each.works]
        raise ChangeError(
            f"{change.name} {version} is not loaded; loaded are: {', '.join(others) or 'none'}. "
            f"Bring it in: statehouse swap {change.name} {version}"
        )
    return loaded


def told(settings: VersionSettings) -> str:
    """Return the settings but for the workers, as people read them."""
    lanes = " / ".join(str(lane.batch_size) for lane in settings.lanes)
    return f"batches of {lanes}, {settings.threads} thread{'s' if settings.threads > 1 else ''} each"
