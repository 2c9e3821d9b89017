"""A swap: verify, flip, drain, keep or retire. And its way back.

Anything that fails before the flip leaves the old version serving and nothing of the new one behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from statehouse.models.errors import StatehouseError
from statehouse.scripts.changes.bring_up import bring_up
from statehouse.scripts.changes.canary import AllowedWorsening, canary, observe_before, watch
from statehouse.scripts.changes.change import Change, undo_desired
from statehouse.scripts.changes.interface import refuse_new_interface
from statehouse.scripts.changes.retire import DRAIN_SECONDS, retire
from statehouse.scripts.changes.shadow import ShadowOptions, shadow
from statehouse.scripts.changes.verify import send_golden_requests
from statehouse.scripts.deployment.edits import holds, with_default, without
from statehouse.scripts.deployment.file import Deployment
from statehouse.scripts.errors import ChangeAbortedError, ChangeError, ServerEndedError
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState


@dataclass(frozen=True)
class SwapOptions:
    """How a swap goes about it."""

    retire: bool = False  # the old version; else it is kept for a roll-back
    replace: bool = False  # stop the old version first, where both do not fit
    allow_new_interface: bool = False  # clients are ready for what is different
    keep_older: bool = False  # also what an earlier swap had kept for a roll-back
    drain_seconds: float = DRAIN_SECONDS
    watch_seconds: float = 0.0
    canary_shares: tuple[float, ...] = ()
    canary_step_seconds: float = 30.0
    worsening: AllowedWorsening = field(default_factory=AllowedWorsening)
    shadow: ShadowOptions | None = None

    @property
    def judging_seconds(self) -> float:
        """How long the new version is judged in all."""
        return len(self.canary_shares) * self.canary_step_seconds + self.watch_seconds


@dataclass(frozen=True)
class SwapResult:
    """What serves a name now, and what did before."""

    name: str
    serving: str
    before: str | None
    changed: bool


async def swap(change: Change, version: str, options: SwapOptions) -> SwapResult:
    """Make ``version`` what requests for the change's model get; a repeated swap changes nothing.

    The first version of a name simply becomes its default. Raises StoreError when the version is not in
    the store as published, UnknownCodeError when its code is not here, VersionStartError with the worker's own
    reason, ChangeError for what else stands against it.
    """
    name = change.name
    before = change.front.default_of(name)
    loaded = change.fleet.versions.get((name, version))
    works = loaded is not None and loaded.works
    if before == version and works:
        return SwapResult(name, version, before, changed=False)
    change.leads_to(version)
    old = _working(change, before) if before != version else None
    desired_before = change.desired.deployment
    await _refuse_beforehand(change, old, version, options)
    change.running.seconds_ahead = options.judging_seconds if old is not None else 0.0
    try:
        if options.replace and old is not None:
            await _stop_first(change, old, options)
        if loaded is None or not works:
            loaded = await bring_up(change, version, check_memory=not options.replace)
        await _verify(change, loaded)
        if old is not None and not options.replace:
            await _compare(change, old, loaded, options)
        await _make_default(change, old, loaded, options)
    except Exception as error:
        if not _is_undone_by_others(error, options):
            await _undo(change, old, version, was_loaded=works)
        raise
    if old is not None:
        await _after_flip(change, old, loaded, desired_before, options)
    return SwapResult(name, version, before, changed=True)


def _is_undone_by_others(error: Exception, options: SwapOptions) -> bool:
    if isinstance(error, ServerEndedError):
        return True  # nothing is loaded now: TorchServe's next start loads what this leads to
    # `go_back` loads the old version again while the new one is there; in its place, both have no room.
    return isinstance(error, ChangeAbortedError) and not options.replace


async def _refuse_beforehand(
    change: Change, old: LoadedVersion | None, version: str, options: SwapOptions
) -> None:
    """Refuse what is known to fail, or to harm clients, before anything is done."""
    if _working(change, version) is None:
        await change.refuse_unknown_code(version)
    if old is None or options.allow_new_interface:
        return
    new = await change.manifest_of(version)
    if new is None or old.published is None:
        return
    refuse_new_interface(
        old.published.manifest,
        new,
        before=old.version,
        after=f"{change.name} {version}",
        command="statehouse apply"
        if change.entry["kind"] == "apply"
        else f"statehouse swap {change.name} {version}",
    )


async def _make_default(
    change: Change, old: LoadedVersion | None, loaded: LoadedVersion, options: SwapOptions
) -> None:
    """Flip, and watch what becomes of it where that is wanted: until then it may have to be undone."""
    before = change.desired.deployment
    changed = with_default(before, loaded.name, loaded.version, loaded.settings)
    aim = changed
    for version in _leaving(change, old, loaded, before, options):
        aim = without(aim, loaded.name, version)
    watched = old is not None and options.watch_seconds and not options.replace
    if not watched:
        change.decide(aim)
    # What was stopped to make room goes immediately: a start that loads both would need room for both.
    await flip(change, loaded, aim if options.replace else changed)
    if old is not None and watched:
        await watch(
            change, old.version, loaded, before, seconds=options.watch_seconds, worsening=options.worsening
        )
    change.decide(aim)


def _leaving(
    change: Change, old: LoadedVersion | None, new: LoadedVersion, before: Deployment, options: SwapOptions
) -> list[str]:
    """Return the versions that go when the new one serves. One version back is kept, not all of them."""
    if old is None:
        return []
    leaving = [old.version] if options.replace or options.retire else []
    kept = before.models[change.name].previous
    if kept not in (None, old.version, new.version) and not (options.keep_older or options.replace):
        leaving.append(str(kept))
    return [version for version in leaving if holds(before, change.name, version)]


def _working(change: Change, version: str | None) -> LoadedVersion | None:
    loaded = change.fleet.versions.get((change.name, version)) if version else None
    return loaded if loaded is not None and loaded.works else None


async def rollback(change: Change, options: SwapOptions) -> SwapResult:
    """Make the version before this one serve again: immediately if it is still loaded, else by a full swap."""
    model = change.desired.deployment.models.get(change.name)
    if model is None or model.previous is None:
        served = change.front.default_of(change.name)
        raise ChangeError(
            f"{change.name} has no version to roll back to; {served or 'nothing'} serves it. "
            f"Swap to one: statehouse swap {change.name} VERSION"
        )
    # It served before: who goes back has no time to be asked.
    return await swap(change, model.previous, replace(options, allow_new_interface=True))


async def _verify(change: Change, loaded: LoadedVersion) -> None:
    url = f"/predictions/{loaded.name}/{loaded.version}"
    async with change.step("verify", f"golden requests to {url} answered right"):
        await send_golden_requests(change.front, loaded)


async def _compare(change: Change, old: LoadedVersion, new: LoadedVersion, options: SwapOptions) -> None:
    """Compare the two as the options say: on requests that are given, then on a share of the real ones."""
    if options.shadow is not None:
        await shadow(change, old, new, options.shadow)
    if options.canary_shares:
        await canary(
            change,
            old.version,
            new,
            shares=options.canary_shares,
            step_seconds=options.canary_step_seconds,
            worsening=options.worsening,
        )
    if options.watch_seconds:
        await observe_before(change, old.version)


async def flip(change: Change, loaded: LoadedVersion, desired: Deployment) -> None:
    """Write down what is desired with the new default, then send requests to it."""
    desired_before = change.desired.deployment
    async with change.step("flip", f"{loaded.name} is served by {loaded.version}", whole=True):
        try:
            change.desired.change_to(desired)
            await change.fleet.flip(loaded)
        except Exception:
            undo_desired(change, desired_before)
            raise
        await change.front.remove_canary(loaded.name)


async def _after_flip(
    change: Change, old: LoadedVersion, new: LoadedVersion, desired_before: Deployment, options: SwapOptions
) -> None:
    if options.replace:
        await change.fleet.refuse_retired(old)
        change.fleet.forget(old.name, old.version)
        return
    async with change.step(
        "drain", f"nothing is left in flight in {old.version}", seconds=options.drain_seconds, at_most=True
    ):
        drained = await change.drain(old, explicit=False, deadline_seconds=options.drain_seconds)
    if not drained:
        waited = f"{options.drain_seconds:g} s"
        change.say(f"{old.version} still had requests in flight after {waited}", failed=True)
    for version in _leaving(change, old, new, desired_before, options):
        await retire(change, version, options.drain_seconds)


async def _stop_first(change: Change, old: LoadedVersion, options: SwapOptions) -> None:
    """Make room: its requests wait until the new version is up."""
    text = f"{old.name} {old.version} stopped to make room; its requests wait"
    async with change.step("stop", text, seconds=options.drain_seconds, at_most=True):
        await change.front.hold(old.name, old.version)
        await change.drain(old, explicit=True, deadline_seconds=options.drain_seconds)
        change.running.finish_step()
        await change.fleet.stop_version(old)


async def _undo(change: Change, old: LoadedVersion | None, version: str, *, was_loaded: bool) -> None:
    """Leave nothing of a version that is not to be, and start an old one again that was stopped for it.

    What of this cannot be is told: the reason for it all must not be hidden behind that.
    """
    failed = change.fleet.versions.get((change.name, version))
    try:
        await change.front.remove_canary(change.name)
        if (
            failed is not None
            and not was_loaded
            and not holds(change.desired.deployment, change.name, version)
        ):
            await change.fleet.unload(failed)
    except StatehouseError as error:
        change.say(str(error), failed=True)
    # Where TorchServe has ended, all that is desired is restored with it.
    if old is not None and old.state is VersionState.STOPPED and change.torchserve.process.running:
        try:
            async with change.step("restore", f"{old.name} {old.version} started again", undoing=True):
                await change.fleet.load(old.name, old.version, old.settings)
        except (StatehouseError, OSError) as error:
            change.say(str(error), failed=True)
