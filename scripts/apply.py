"""Making the server match an edited deployment.yaml: first the plan, then the same safe steps as any change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.errors import StatehouseError
from scripts.change import Change
from scripts.deployment import (
    Deployment,
    LaneSettings,
    VersionSettings,
    not_written,
    read_deployment,
    rejected_file,
)
from scripts.desired import holds, with_version
from scripts.durable import write_durably
from scripts.errors import ChangeError, ServerEndedError
from scripts.reconfigure import reconfigure
from scripts.supervisor import Supervisor
from scripts.swap import SwapOptions, bring_up, retire, swap

Action = Literal["load", "reconfigure", "default", "retire"]


@dataclass(frozen=True)
class PlannedStep:
    """One thing that must happen to a version."""

    action: Action
    name: str
    version: str
    text: str
    settings: VersionSettings | None = None


def plan(current: Deployment, wanted: Deployment) -> list[PlannedStep]:
    """Return what leads from one desired state to another: additions first, removals last.

    Raises ChangeError for what only a new start can change.
    """
    fixed = [
        each
        for each in ("model_store", "architectures", "listen", "access", "limits")
        if getattr(current, each) != getattr(wanted, each)
    ]
    if fixed:
        raise ChangeError(
            f"{', '.join(fixed)}: only a new start takes these up. Stop `statehouse serve` and start it again, "
            "or undo the edit."
        )
    names = sorted(current.models.keys() | wanted.models.keys())
    steps = [step for name in names for step in _plan_model(name, current, wanted)]
    order: dict[Action, int] = {"load": 0, "reconfigure": 1, "default": 2, "retire": 3}
    return sorted(steps, key=lambda step: order[step.action])


def _plan_model(name: str, current: Deployment, wanted: Deployment) -> Iterator[PlannedStep]:
    before, after = current.models.get(name), wanted.models.get(name)
    had, has = (model.versions if model else {} for model in (before, after))
    for version, settings in has.items():
        if version not in had:
            yield PlannedStep("load", name, version, f"load {name} {version} ({_told(settings)})", settings)
        elif settings != had[version]:
            changes = ", ".join(_changes(had[version], settings))
            yield PlannedStep("reconfigure", name, version, f"change {name} {version}: {changes}", settings)
    if after is not None and (before is None or before.default != after.default):
        old = before.default if before else "none"
        text = f"make {after.default} the default of {name} (now: {old})"
        yield PlannedStep("default", name, after.default, text)
    # The default last: it cannot go while others are there.
    for version in sorted(had, key=lambda version: before is not None and version == before.default):
        if version not in has:
            yield PlannedStep("retire", name, version, f"retire {name} {version}")


def read_plan(supervisor: Supervisor) -> tuple[Deployment, list[PlannedStep]]:
    """Read the edited file and return it with the plan; DeploymentError when it is not valid."""
    wanted = read_deployment(supervisor.deployment_file)
    return wanted, plan(supervisor.deployment, wanted)


async def apply(change: Change) -> list[str]:
    """Carry the plan out; return what was done.

    The edit is kept beside the file (``deployment.rejected.yaml``) until all of it is done. When a step fails, the file
    says what is really desired: what was done before it stays done, nothing of the rest is. Interrupted before all
    that it loads has proved itself, all of it is undone.
    """
    supervisor = change.supervisor
    edited = supervisor.accept_edit() or b""
    wanted, steps = read_plan(supervisor)
    kept = rejected_file(supervisor.deployment_file)
    change.entry["plan"] = [step.text for step in steps]
    _keep(kept, edited)
    try:
        for step in steps:
            change.name = step.name
            await change.count(step.name)
            if step.action in ("default", "retire") and all_work(change, steps):
                change.decide(wanted)
            with change.part():
                await _carry_out(change, step)
        change.decide(wanted)
        supervisor.desire(wanted)
    except (ServerEndedError, asyncio.CancelledError):
        if change.decided:  # what this leads to is loaded by the next start
            kept.unlink(missing_ok=True)
        else:
            change.say(f"the edit is kept in {kept}", failed=True)
        raise
    except Exception:
        await _stop_halfway(change, kept)
        raise
    kept.unlink(missing_ok=True)
    return [step.text for step in steps]


def all_work(change: Change, steps: list[PlannedStep]) -> bool:
    """Whether all that are to become defaults have proved themselves."""
    versions = change.supervisor.versions
    defaults = [versions.get((step.name, step.version)) for step in steps if step.action == "default"]
    return all(loaded is not None and loaded.works for loaded in defaults)


def _keep(file: Path, edited: bytes) -> None:
    try:
        write_durably(file, edited)
    except OSError as error:
        raise not_written(file, error) from error


async def _stop_halfway(change: Change, kept: Path) -> None:
    """Unload what was loaded for a step that is not to be, and let the file say what is desired now."""
    supervisor = change.supervisor
    change.undecide(supervisor.deployment)
    try:
        for loaded in list(supervisor.versions.values()):
            if not holds(supervisor.deployment, loaded.name, loaded.version):
                await supervisor.unload(loaded)
        supervisor.desire(supervisor.deployment)
    except StatehouseError as error:
        change.say(str(error), failed=True)
    file = supervisor.deployment_file
    change.say(f"the edit is kept in {kept}; {file} says what is desired now", failed=True)


async def _carry_out(change: Change, step: PlannedStep) -> None:
    supervisor = change.supervisor
    loaded = supervisor.versions.get((step.name, step.version))
    if step.action == "reconfigure" and step.settings is not None and loaded is not None and loaded.works:
        await reconfigure(change, step.version, step.settings)
    elif step.action in ("load", "reconfigure") and step.settings is not None:
        loaded = await bring_up(change, step.version, settings=step.settings)
        if step.name in supervisor.deployment.models:
            # A new name's first version gets its default by the step that says so.
            supervisor.desire(with_version(supervisor.deployment, step.name, step.version, loaded.settings))
    elif step.action == "default":
        await swap(change, step.version, SwapOptions(keep_older=True))
    else:
        await retire(change, step.version)


def _told(settings: VersionSettings) -> str:
    return f"{settings.total_workers} worker{'s' if settings.total_workers > 1 else ''}"


def _changes(before: VersionSettings, after: VersionSettings) -> Iterator[str]:
    for field in VersionSettings.model_fields:
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            yield f"{field} {_told_value(old)} → {_told_value(new)}"


def _told_value(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return (
        " / ".join(each.told() if isinstance(each, LaneSettings) else str(each) for each in value) or "none"
    )
