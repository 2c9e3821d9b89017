"""A loaded version with other settings: fresh workers of it beside the old ones, then a flip between the two."""

from __future__ import annotations

from statehouse.models.errors import StatehouseError
from statehouse.scripts.changes.change import Change, near_name, undo_desired
from statehouse.scripts.changes.memory import refuse_if_too_large
from statehouse.scripts.changes.retire import DRAIN_SECONDS
from statehouse.scripts.deployment.edits import settings_for, with_version
from statehouse.scripts.deployment.file import Deployment, VersionSettings
from statehouse.scripts.errors import ChangeAbortedError, ChangeError
from statehouse.scripts.supervisor.loaded_version import LoadedVersion


async def reconfigure(
    change: Change, version: str, settings: VersionSettings, *, desired: bool = True
) -> None:
    """Run ``version`` with ``settings`` (workers, batch size, …) without losing a request.

    TorchServe's own scale-down kills workers with what they have in flight; those that nobody is sent to
    any more have none. What is not ``desired`` is only tried: the deployment file says nothing of it.
    """
    name = change.name
    old = find(change, version)
    change.leads_to(version, settings)
    refuse_if_too_large(change, version, settings, hint="Retire another version")
    text = f"{name} {version} ready in {settings.workers_told}, {told(settings)}"
    async with change.step("load", text, seconds=old.load_seconds):
        fresh = await change.fleet.load_beside(old, settings)
    desired_before = change.desired.deployment
    await _flip(change, old, fresh, desired=desired)
    try:
        drained = await _drain_and_stop(change, old)
    except ChangeAbortedError:
        if old.works:  # else they have stopped, and `go_back` loads such ones again
            await _put_back(change, old, fresh, desired_before)
        raise
    if not drained:
        change.say(f"the old workers still had requests in flight after {DRAIN_SECONDS:g} s", failed=True)


async def _drain_and_stop(change: Change, old: LoadedVersion) -> bool:
    text = "nothing is left in flight in the old workers"
    async with change.step("drain", text, seconds=DRAIN_SECONDS, at_most=True):
        drained = await change.drain(old, explicit=True, deadline_seconds=DRAIN_SECONDS)
        change.running.finish_step()
        await change.fleet.stop_version(old)
    return drained


async def _flip(change: Change, old: LoadedVersion, fresh: LoadedVersion, *, desired: bool) -> None:
    name, version = fresh.name, fresh.version
    desired_before = change.desired.deployment
    wanted = with_version(desired_before, name, version, fresh.settings) if desired else desired_before
    if desired:
        change.decide(wanted)
    async with change.step("flip", f"{name} {version} is served by them", whole=True):
        try:
            if desired:
                change.desired.change_to(wanted)
            await change.fleet.put_in_place(fresh)
        except Exception:
            await _put_back(change, old, fresh, desired_before)
            raise


async def _put_back(
    change: Change, old: LoadedVersion, fresh: LoadedVersion, desired_before: Deployment
) -> None:
    """Send requests to the old workers again; what of this cannot be is told."""
    try:
        undo_desired(change, desired_before)
        await change.fleet.put_in_place(old)
        await change.drain(fresh, explicit=True, deadline_seconds=DRAIN_SECONDS)
        await change.fleet.stop_version(fresh)
    except StatehouseError as error:
        change.say(str(error), failed=True)


async def keep(change: Change, version: str, settings: VersionSettings) -> None:
    """Make the settings that ``version`` runs with, as a trial, the desired ones."""
    change.leads_to(version, settings)
    wanted = with_version(change.desired.deployment, change.name, version, settings)
    change.decide(wanted)
    async with change.step("write", f"{change.name} {version} keeps {told(settings)}", whole=True):
        change.desired.change_to(wanted)


def find(change: Change, version: str) -> LoadedVersion:
    """Return a version that is loaded and works; ChangeError when there is none."""
    loaded = change.fleet.versions.get((change.name, version))
    if loaded is None or not loaded.works:
        others = [v for (n, v), each in change.fleet.versions.items() if n == change.name and each.works]
        raise ChangeError(
            f"{change.name} {version} is not loaded; loaded are: {', '.join(others) or 'none'}."
            f"{near_name(change)} Bring it in: statehouse swap {change.name} {version}"
        )
    return loaded


def told(settings: VersionSettings) -> str:
    """Return the settings but for the workers, as people read them."""
    return f"batches up to {settings.batch_size}, {settings.threads_told} each"


async def scaled(change: Change, version: str, workers: int) -> list[str]:
    """Give a version so many workers; return what was done."""
    find(change, version)
    settings = _desired(change, version).model_copy(update={"workers": workers})
    done = await run_with(change, version, settings)
    return [f"{change.name} {version} has {settings.workers_told}"] if done else []


async def run_with(
    change: Change, version: str, settings: VersionSettings | None, *, desired: bool = True
) -> list[str]:
    """Run a version with other settings, None: those of the deployment; return what was done.

    What is not ``desired`` is a trial: it ends with the next change of the settings, or a start.
    """
    running, deployed = find(change, version).settings, _desired(change, version)
    wanted = settings or deployed
    if running != wanted:
        await reconfigure(change, version, wanted, desired=desired and wanted != deployed)
    elif desired and wanted != deployed:
        await keep(change, version, wanted)
    else:
        return []
    return [f"{change.name} {version} runs in {wanted.workers_told}, {told(wanted)}"]


def _desired(change: Change, version: str) -> VersionSettings:
    settings = settings_for(change.desired.deployment, change.name, version)
    return settings or find(change, version).settings
