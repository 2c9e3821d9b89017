"""Making the server match an edited deployment.yaml: first the plan, then the same safe steps as any change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from statehouse.models.errors import StatehouseError
from statehouse.scripts.changes.bring_up import bring_up
from statehouse.scripts.changes.change import Change
from statehouse.scripts.changes.retire import retire
from statehouse.scripts.changes.settings import reconfigure
from statehouse.scripts.changes.swap import SwapOptions, swap
from statehouse.scripts.deployment.architectures import refuse_missing_modules
from statehouse.scripts.deployment.edits import holds, with_version
from statehouse.scripts.deployment.file import (
    Deployment,
    VersionSettings,
    not_written,
    read_deployment,
    rejected_file,
)
from statehouse.scripts.durable import write_durably
from statehouse.scripts.errors import ChangeAbortedError, ChangeError, ServerEndedError
from statehouse.scripts.supervisor.desired_state import DesiredState

Action = Literal["architectures", "load", "reconfigure", "default", "retire"]


@dataclass(frozen=True)
class PlannedPart:
    """One part of a plan: what must happen to one version."""

    action: Action
    name: str
    version: str
    text: str
    settings: VersionSettings | None = None
    modules: tuple[str, ...] = ()


def plan(current: Deployment, wanted: Deployment) -> list[PlannedPart]:
    """Return what leads from one desired state to another: additions first, removals last.

    Raises ChangeError for what only a new start can change.
    """
    fixed = [
        each
        for each in ("model_store", "listen", "access", "limits")
        if getattr(current, each) != getattr(wanted, each)
    ]
    if fixed:
        raise ChangeError(
            f"{', '.join(fixed)}: only a new start takes these up. Stop `statehouse serve` and start it again, "
            "or undo the edit."
        )
    names = sorted(current.models.keys() | wanted.models.keys())
    parts = [part for name in names for part in _plan_model(name, current, wanted)]
    if current.architectures != wanted.architectures:
        named = ", ".join(wanted.architectures) or "none"
        text = f"name as modules of architectures: {named}"
        parts.append(PlannedPart("architectures", "", "", text, modules=tuple(wanted.architectures)))
    order: dict[Action, int] = {"architectures": 0, "load": 1, "reconfigure": 2, "default": 3, "retire": 4}
    return sorted(parts, key=lambda part: order[part.action])


def _plan_model(name: str, current: Deployment, wanted: Deployment) -> Iterator[PlannedPart]:
    before, after = current.models.get(name), wanted.models.get(name)
    had, has = (model.versions if model else {} for model in (before, after))
    for version, settings in has.items():
        if version not in had:
            yield PlannedPart(
                "load", name, version, f"load {name} {version} ({settings.workers_told})", settings
            )
        elif settings != had[version]:
            changes = ", ".join(_changes(had[version], settings))
            yield PlannedPart("reconfigure", name, version, f"change {name} {version}: {changes}", settings)
    if after is not None and (before is None or before.default != after.default):
        old = before.default if before else "none"
        text = f"make {after.default} the default of {name} (now: {old})"
        yield PlannedPart("default", name, after.default, text)
    # The default last: it cannot go while others are there.
    for version in sorted(had, key=lambda version: before is not None and version == before.default):
        if version not in has:
            yield PlannedPart("retire", name, version, f"retire {name} {version}")


def read_plan(desired: DesiredState) -> tuple[Deployment, list[PlannedPart]]:
    """Read the edited file and return it with the plan; DeploymentError when it is not valid."""
    wanted = read_deployment(desired.path)
    if wanted.architectures != desired.deployment.architectures:
        refuse_missing_modules(wanted.architectures, desired.path)
    return wanted, plan(desired.deployment, wanted)


def _taken_up(desired: DesiredState) -> tuple[Deployment, list[PlannedPart], bytes]:
    """Read the plan and take the edit for known; where it is not valid it stays an edit."""
    known = desired.content_as_written
    edited = desired.accept_edit() or b""  # first: what is saved from here on is another edit
    try:
        wanted, planned = read_plan(desired)
    except StatehouseError:
        desired.content_as_written = known
        raise
    return wanted, planned, edited


async def apply(change: Change, *, allow_new_interface: bool = False) -> list[str]:
    """Carry the plan out; return what was done.

    The edit is kept beside the file (``deployment.rejected.yaml``) until all of it is done. When a part fails, the file
    says what is really desired: what was done before it stays done, nothing of the rest is. Interrupted before all
    that it loads has proved itself, all of it is undone. An edit that leads nowhere is taken up as it is: nothing is
    written, and comments stay.
    """
    wanted, planned, edited = _taken_up(change.desired)
    if not planned:
        change.desired.deployment = wanted
        return []
    kept = rejected_file(change.desired.path)
    change.plans([part.text for part in planned])
    _keep(kept, edited)
    try:
        for part in planned:
            await change.count(part.name)
            if part.action in ("default", "retire") and all_work(change, planned):
                change.decide(wanted)
            await _carry_out(change.for_model(part.name), part, allow_new_interface=allow_new_interface)
        change.decide(wanted)
        change.desired.change_to(wanted)
    except (ServerEndedError, asyncio.CancelledError):
        if change.decided:  # what this leads to is loaded by the next start
            kept.unlink(missing_ok=True)
        else:
            change.say(f"the edit is kept in {kept}", failed=True)
        raise
    except ChangeAbortedError:  # all of it is undone
        change.say(f"the edit is kept in {kept}", failed=True)
        raise
    except Exception:
        await _stop_halfway(change, kept)
        raise
    kept.unlink(missing_ok=True)
    return [part.text for part in planned]


def all_work(change: Change, planned: list[PlannedPart]) -> bool:
    """Whether all that are to become defaults have proved themselves."""
    versions = change.fleet.versions
    defaults = [versions.get((part.name, part.version)) for part in planned if part.action == "default"]
    return all(loaded is not None and loaded.works for loaded in defaults)


def _keep(file: Path, edited: bytes) -> None:
    try:
        write_durably(file, edited)
    except OSError as error:
        raise not_written(file, error) from error


async def _stop_halfway(change: Change, kept: Path) -> None:
    """Unload what was loaded for a part that is not to be, and let the file say what is desired now."""
    change.undecide(change.desired.deployment)
    try:
        for loaded in list(change.fleet.versions.values()):
            if not holds(change.desired.deployment, loaded.name, loaded.version):
                await change.fleet.unload(loaded)
        change.desired.change_to(change.desired.deployment)
    except StatehouseError as error:
        change.say(str(error), failed=True)
    file = change.desired.path
    change.say(f"the edit is kept in {kept}; {file} says what is desired now", failed=True)


async def _carry_out(change: Change, part: PlannedPart, *, allow_new_interface: bool) -> None:
    loaded = change.fleet.versions.get((part.name, part.version))
    if part.action == "architectures":  # before all else: what is loaded then may need them
        desired = change.desired.deployment.model_copy(update={"architectures": list(part.modules)})
        async with change.step("architectures", part.text):
            change.desired.change_to(desired)
    elif part.action == "reconfigure" and part.settings is not None and loaded is not None and loaded.works:
        await reconfigure(change, part.version, part.settings)
    elif part.action in ("load", "reconfigure") and part.settings is not None:
        loaded = await bring_up(change, part.version, settings=part.settings)
        if part.name in change.desired.deployment.models:
            # A new name's first version gets its default by the part that says so.
            change.desired.change_to(
                with_version(change.desired.deployment, part.name, part.version, loaded.settings)
            )
    elif part.action == "default":
        await swap(
            change, part.version, SwapOptions(keep_older=True, allow_new_interface=allow_new_interface)
        )
    else:
        await retire(change, part.version)


def _changes(before: VersionSettings, after: VersionSettings) -> Iterator[str]:
    for field in VersionSettings.model_fields:
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            yield f"{field} {_told_value(old)} → {_told_value(new)}"


def _told_value(value: object) -> str:
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)
