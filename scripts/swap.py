"""A swap: verify, flip, drain, keep or retire. And its way back.

Anything that fails before the flip leaves the old version serving and nothing of the new one behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models.errors import StatehouseError
from scripts.change import Change, undo_desired
from scripts.default_settings import default_settings, same_kind
from scripts.deployment import Deployment, VersionSettings
from scripts.desired import holds, settings_for, with_default, without
from scripts.drain import drain
from scripts.errors import ChangeError, NotEnoughMemoryError, ServerEndedError, VersionStartError
from scripts.fetching import fetch
from scripts.golden_requests import send_golden_requests
from scripts.judge import Limits
from scripts.loaded_version import LoadedVersion, VersionState
from scripts.memory import refuse_if_too_large
from scripts.observe import canary, observe_before, watch
from scripts.shadow import ShadowOptions, shadow

DRAIN_SECONDS = 30.0


@dataclass(frozen=True)
class SwapOptions:
    """How a swap goes about it."""

    retire: bool = False  # the old version; else it is kept for a roll-back
    replace: bool = False  # stop the old version first, where both do not fit
    keep_older: bool = False  # also what an earlier swap had kept for a roll-back
    drain_seconds: float = DRAIN_SECONDS
    watch_seconds: float = 0.0
    canary_shares: tuple[float, ...] = ()
    canary_step_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)
    shadow: ShadowOptions | None = None


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
    the store as published, VersionStartError with the worker's own reason, ChangeError for what else
    stands against it.
    """
    supervisor, name = change.supervisor, change.name
    before = supervisor.front.default_of(name)
    loaded = supervisor.versions.get((name, version))
    works = loaded is not None and loaded.works
    if before == version and works:
        return SwapResult(name, version, before, changed=False)
    change.entry["to"] = change.described(version)
    old = _working(change, before) if before != version else None
    desired_before = supervisor.deployment
    try:
        if options.replace and old is not None:
            await _stop_first(change, old, options)
        if loaded is None or not works:
            loaded = await bring_up(change, version, check_memory=not options.replace)
        await _verify(change, loaded)
        if old is not None and not options.replace:
            await _compare(change, old, loaded, options)
        await _make_default(change, old, loaded, options)
    except ServerEndedError:
        raise  # nothing is loaded now: what this leads to is loaded when TorchServe is back
    except Exception:
        await _undo(change, old, version, was_loaded=works)
        raise
    if old is not None:
        await _after_flip(change, old, loaded, desired_before, options)
    return SwapResult(name, version, before, changed=True)


async def _make_default(
    change: Change, old: LoadedVersion | None, loaded: LoadedVersion, options: SwapOptions
) -> None:
    """Flip, and watch what becomes of it where that is wanted: until then it may have to be undone."""
    before = change.supervisor.deployment
    changed = with_default(before, loaded.name, loaded.version, loaded.settings)
    aim = changed
    for version in _leaving(change, old, loaded, before, options):
        aim = without(aim, loaded.name, version)
    watched = old is not None and options.watch_seconds and not options.replace
    if not watched:
        change.decide(aim)
    # What was stopped to make room goes at once: a start that loads both would need room for both.
    await flip(change, loaded, aim if options.replace else changed)
    if old is not None and watched:
        await watch(change, old.version, loaded, before, seconds=options.watch_seconds, limits=options.limits)
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
    loaded = change.supervisor.versions.get((change.name, version)) if version else None
    return loaded if loaded is not None and loaded.works else None


async def rollback(change: Change, options: SwapOptions) -> SwapResult:
    """Make the version before this one serve again: at once if it is still loaded, else by a full swap."""
    model = change.supervisor.deployment.models.get(change.name)
    if model is None or model.previous is None:
        served = change.supervisor.front.default_of(change.name)
        raise ChangeError(
            f"{change.name} has no version to roll back to; {served or 'nothing'} serves it. "
            f"Swap to one: statehouse swap {change.name} VERSION"
        )
    return await swap(change, model.previous, options)


async def bring_up(
    change: Change, version: str, *, settings: VersionSettings | None = None, check_memory: bool = True
) -> LoadedVersion:
    """Load a version until its workers have proved themselves; nothing of it is left when it cannot.

    Optimizations that nobody has chosen for this very version keep it from nothing: it is loaded without them then.
    """
    supervisor, name = change.supervisor, change.name
    await _fetch(change, version)
    chosen = settings is not None or holds(supervisor.deployment, name, version)
    settings = settings or _settings_of(change, version)
    change.entry["to"] = change.described(version)
    try:
        return await _load(change, version, settings, check_memory=check_memory)
    except (VersionStartError, NotEnoughMemoryError) as error:
        if chosen or not settings.optimizations:
            raise
        without = f"Trying {name} {version} without {', '.join(settings.optimizations)}."
        change.say(f"{error}\n{without}", failed=True)
    plain = settings.model_copy(update={"optimizations": ()})
    return await _load(change, version, plain, check_memory=check_memory)


async def _load(
    change: Change, version: str, settings: VersionSettings, *, check_memory: bool
) -> LoadedVersion:
    supervisor, name = change.supervisor, change.name
    if check_memory:
        refuse_if_too_large(supervisor, name, version, settings)
    workers = f"{settings.total_workers} worker{'s' if settings.total_workers > 1 else ''}"
    if settings.optimizations:
        workers += f" with {', '.join(settings.optimizations)}"
    async with change.step("load", f"{name} {version} loaded, golden examples right in {workers}"):
        try:
            return await supervisor.load(name, version, settings)
        except Exception:
            if not holds(supervisor.deployment, name, version):
                supervisor.forget(name, version)
            raise


def _settings_of(change: Change, version: str) -> VersionSettings:
    """Return a version's own settings; else those of the version it succeeds, with workers for what it computes."""
    supervisor, name = change.supervisor, change.name
    chosen = settings_for(supervisor.deployment, name, version)
    if chosen is not None and holds(supervisor.deployment, name, version):
        return chosen
    manifest = supervisor.store.get(name, version).manifest
    keep_free_bytes = supervisor.deployment.limits.keep_free_bytes
    usual = default_settings(manifest, new_versions=1, keep_free_bytes=keep_free_bytes)
    if chosen is None:
        return usual
    before = supervisor.versions.get((name, supervisor.front.default_of(name) or ""))
    published = before.published if before is not None else None
    if published is not None and not same_kind(published.manifest, manifest):
        return usual.model_copy(update={"fast_io": chosen.fast_io})
    speedup = manifest.frozen_speedup
    if speedup is not None and 0 < speedup < 1:  # 0 is told by the worker, with its reason
        kept = tuple(each for each in chosen.optimizations if each != "freeze")
        return chosen.model_copy(update={"optimizations": kept})
    return chosen


async def _fetch(change: Change, version: str) -> None:
    """Bring a version to this machine that is only in the store."""
    store, name = change.supervisor.store, change.name
    if not store.has(name, version) and store.fetches:
        async with change.step("fetch", f"{name} {version} fetched from {store.address}"):
            await fetch(store, name, version, change.progress)


async def _verify(change: Change, loaded: LoadedVersion) -> None:
    url = f"/predictions/{loaded.name}/{loaded.version}"
    async with change.step("verify", f"golden requests to {url} answered right"):
        await send_golden_requests(change.supervisor, loaded)


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
            limits=options.limits,
        )
    if options.watch_seconds:
        await observe_before(change, old.version)


async def flip(change: Change, loaded: LoadedVersion, desired: Deployment) -> None:
    """Write down what is desired with the new default, then send requests to it."""
    supervisor = change.supervisor
    desired_before = supervisor.deployment
    async with change.step("flip", f"{loaded.name} is served by {loaded.version}"):
        try:
            supervisor.desire(desired)
            await supervisor.flip(loaded)
        except Exception:
            undo_desired(change, desired_before)
            raise
        await supervisor.front.remove_canary(loaded.name)


async def _after_flip(
    change: Change, old: LoadedVersion, new: LoadedVersion, desired_before: Deployment, options: SwapOptions
) -> None:
    if options.replace:
        await change.supervisor.refuse_retired(old)
        change.supervisor.forget(old.name, old.version)
        return
    async with change.step("drain", f"nothing is left in flight in {old.version}"):
        drained = await drain(change.supervisor, old, explicit=False, deadline_seconds=options.drain_seconds)
    if not drained:
        waited = f"{options.drain_seconds:g} s"
        change.say(f"{old.version} still had requests in flight after {waited}", failed=True)
    for version in _leaving(change, old, new, desired_before, options):
        await retire(change, version, options.drain_seconds)


async def retire(change: Change, version: str, drain_seconds: float = DRAIN_SECONDS) -> None:
    """Unload a version that is not the default: wait for its requests, then refuse new ones, then stop it.

    The last version of a name may be retired too; then the name is not served any more.
    """
    supervisor, name = change.supervisor, change.name
    loaded = supervisor.versions.get((name, version))
    others = [each for each_name, each in supervisor.versions if each_name == name and each != version]
    if loaded is None:
        raise ChangeError(f"{name} {version} is not loaded; loaded are: {', '.join(others) or 'none'}.")
    if supervisor.front.default_of(name) == version and others:
        raise ChangeError(
            f"{name} {version} is the default and cannot be retired: swap to another first ({', '.join(others)})."
        )
    change.decide(without(supervisor.deployment, name, version))
    async with change.step("retire", f"{name} {version} retired"):
        await drain(supervisor, loaded, explicit=True, deadline_seconds=drain_seconds)
        supervisor.desire(without(supervisor.deployment, name, version))
        await supervisor.refuse_retired(loaded)
        await drain(supervisor, loaded, explicit=True, deadline_seconds=drain_seconds)
        await supervisor.unload(loaded)


async def _stop_first(change: Change, old: LoadedVersion, options: SwapOptions) -> None:
    """Make room: its requests wait until the new version is up."""
    supervisor = change.supervisor
    async with change.step("stop", f"{old.name} {old.version} stopped to make room; its requests wait"):
        await supervisor.front.hold(old.name, old.version)
        await drain(supervisor, old, explicit=True, deadline_seconds=options.drain_seconds)
        await supervisor.stop_version(old)


async def _undo(change: Change, old: LoadedVersion | None, version: str, *, was_loaded: bool) -> None:
    """Leave nothing of a version that is not to be, and start an old one again that was stopped for it.

    What of this cannot be is told: the reason for it all must not be hidden behind that.
    """
    supervisor = change.supervisor
    failed = supervisor.versions.get((change.name, version))
    try:
        await supervisor.front.remove_canary(change.name)
        if failed is not None and not was_loaded and not holds(supervisor.deployment, change.name, version):
            await supervisor.unload(failed)
    except StatehouseError as error:
        change.say(str(error), failed=True)
    # Where TorchServe has ended, all that is desired is restored with it.
    if old is not None and old.state is VersionState.STOPPED and supervisor.torchserve.process.running:
        try:
            async with change.step("restore", f"{old.name} {old.version} started again", undoing=True):
                await supervisor.load(old.name, old.version, old.settings)
        except (StatehouseError, OSError) as error:
            change.say(str(error), failed=True)
