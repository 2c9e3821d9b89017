"""Loading a version for a change: fetched, fitted into memory, up, and proved by its golden examples."""

from __future__ import annotations

from statehouse.scripts.changes.change import Change
from statehouse.scripts.changes.memory import refuse_if_too_large
from statehouse.scripts.deployment.defaults import default_settings, same_kind
from statehouse.scripts.deployment.edits import holds, settings_for
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import NotEnoughMemoryError, VersionStartError
from statehouse.scripts.supervisor.fetching import fetch
from statehouse.scripts.supervisor.loaded_version import LoadedVersion


async def bring_up(
    change: Change, version: str, *, settings: VersionSettings | None = None, check_memory: bool = True
) -> LoadedVersion:
    """Load a version until its workers have proved themselves; nothing of it is left when it cannot.

    Optimizations that nobody has chosen for this very version keep it from nothing: it is loaded without them then.
    """
    name = change.name
    await change.refuse_unknown_code(version)
    await _fetch(change, version)
    chosen = settings is not None or holds(change.desired.deployment, name, version)
    settings = settings or _settings_of(change, version)
    change.leads_to(version)
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
    name = change.name
    if check_memory:
        refuse_if_too_large(change, version, settings)
    where = settings.workers_told
    if settings.optimizations:
        where += f" with {', '.join(settings.optimizations)}"

    def ready_share() -> float:
        loaded = change.fleet.versions.get((name, version))
        return loaded.ready_workers / settings.workers if loaded is not None else 0.0

    text = f"{name} {version} loaded, golden examples right in {where}"
    async with change.step("load", text, seconds=_load_seconds(change), share=ready_share):
        try:
            return await change.fleet.load(name, version, settings)
        except Exception:
            if not holds(change.desired.deployment, name, version):
                change.fleet.forget(name, version)
            raise


def _load_seconds(change: Change) -> float | None:
    """Return how long the version took that serves: about what another one takes."""
    serving = change.fleet.versions.get((change.name, change.front.default_of(change.name) or ""))
    return serving.load_seconds if serving is not None else None


def _settings_of(change: Change, version: str) -> VersionSettings:
    """Return a version's own settings; else those of the version it succeeds, with workers for what it computes."""
    name = change.name
    chosen = settings_for(change.desired.deployment, name, version)
    if chosen is not None and holds(change.desired.deployment, name, version):
        return chosen
    manifest = change.store.get(name, version).manifest
    keep_free_bytes = change.desired.deployment.limits.keep_free_bytes
    usual = default_settings(manifest, new_versions=1, keep_free_bytes=keep_free_bytes)
    if chosen is None:
        return usual
    before = change.fleet.versions.get((name, change.front.default_of(name) or ""))
    published = before.published if before is not None else None
    if published is not None and not same_kind(published.manifest, manifest):
        return usual
    speedup = manifest.frozen_speedup
    if speedup is not None and 0 < speedup < 1:  # 0 is told by the worker, with its reason
        kept = tuple(each for each in chosen.optimizations if each != "freeze")
        return chosen.model_copy(update={"optimizations": kept})
    return chosen


async def _fetch(change: Change, version: str) -> None:
    """Bring a version to this machine that is only in the store."""
    store, name = change.store, change.name
    if not store.has(name, version) and store.fetches:
        async with change.step("fetch", f"{name} {version} fetched from {store.address}"):
            await fetch(store, name, version, change.progress)
