"""Retiring a version: the front refuses it, what is in flight is answered, TorchServe unloads it."""

from __future__ import annotations

from statehouse.scripts.changes.change import Change, near_name
from statehouse.scripts.deployment.edits import without
from statehouse.scripts.errors import ChangeError


async def retired(change: Change, version: str, drain_seconds: float) -> list[str]:
    """Retire a version; return what was done."""
    change.leads_to(version)
    await retire(change, version, drain_seconds)
    return [f"{change.name} {version} retired"]


DRAIN_SECONDS = 30.0


async def retire(change: Change, version: str, drain_seconds: float = DRAIN_SECONDS) -> None:
    """Unload a version that is not the default: wait for its requests, then refuse new ones, then stop it.

    The last version of a name may be retired too; then the name is not served any more.
    """
    name = change.name
    loaded = change.fleet.versions.get((name, version))
    others = [each for each_name, each in change.fleet.versions if each_name == name and each != version]
    if loaded is None:
        raise ChangeError(
            f"{name} {version} is not loaded; loaded are: {', '.join(others) or 'none'}.{near_name(change)}"
        )
    if change.front.default_of(name) == version and others:
        raise ChangeError(
            f"{name} {version} is the default and cannot be retired: swap to another first ({', '.join(others)})."
        )
    change.decide(without(change.desired.deployment, name, version))
    async with change.step("retire", f"{name} {version} retired", seconds=drain_seconds, at_most=True):
        await change.drain(loaded, explicit=True, deadline_seconds=drain_seconds)
        change.running.finish_step()
        change.desired.change_to(without(change.desired.deployment, name, version))
        await change.fleet.refuse_retired(loaded)
        await change.drain(loaded, explicit=True, deadline_seconds=drain_seconds)
        await change.fleet.unload(loaded)
