"""Copies of architecture modules that no version names any more: what may go, and what is not known well enough."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from statehouse.models.errors import listed
from statehouse.scripts.deployment.file import Deployment, read_deployment
from statehouse.scripts.deployment.interrupted import Landing
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.deployment.snapshots import Kept, Snapshots
from statehouse.scripts.errors import CommandError, DeploymentNotFoundError, StoreError
from statehouse.scripts.store import ModelStore
from statehouse.scripts.store.manifest import VersionManifest

# A publish keeps the code before the version that names it is in the store.
SPARED_SECONDS = 3600.0

Key = tuple[str, str]


def unused_code(deployment_file: Path, stores: Sequence[ModelStore]) -> list[Kept]:
    """Return the copies that no version of these stores, of the deployment or of its journal names.

    What was kept within the last hour is none of them. Raises CommandError where that cannot be known: a version of
    a store, or one that the deployment names, cannot be read. Raises StoreError where a store cannot be.
    """
    snapshots = Snapshots.of_deployment(deployment_file)
    if snapshots.of_an_image:
        raise CommandError("An image's architectures do not change while it runs. Nothing was removed.")
    named = _digests_named(deployment_file, stores)
    newest = time.time() - SPARED_SECONDS
    return [
        each
        for each in snapshots.kept()
        if each.digest not in named and snapshots.place(each.digest).stat().st_mtime < newest
    ]


def _digests_named(deployment_file: Path, stores: Sequence[ModelStore]) -> set[str]:
    manifests: dict[Key, VersionManifest] = {}
    digests, problems = set(), []
    for store in stores:
        listing = store.scan()
        problems += [str(error) for error in listing.refused]
        for each in listing.versions:
            if (manifest := _manifest(store, (each.name, each.version), problems)) is not None:
                manifests[each.name, each.version] = manifest
                digests.add(manifest.architecture_code)
    desired = set(_desired(deployment_file))
    for key in (desired | set(_changed(deployment_file))) - manifests.keys():
        found = [_manifest(store, key, problems) for store in stores]
        digests.update(each.architecture_code for each in found if each is not None)
        if key in desired and not any(found):
            problems.append(f"{' '.join(key)}, which the deployment names, is in no store")
    if problems:
        told = "Which code the versions need is not known wholly. Nothing was removed:"
        raise CommandError(listed(told, problems))
    return {code.digest for code in digests if code is not None}


def _manifest(store: ModelStore, key: Key, problems: list[str]) -> VersionManifest | None:
    """Return what is known of a version, on this machine or else in the store."""
    try:
        return store.get(*key).manifest if store.has(*key) else store.find(*key)
    except StoreError as error:
        problems.append(f"{' '.join(key)}: {error}")
        return None


def _desired(deployment_file: Path) -> Iterator[Key]:
    """Yield the versions that are desired or may be rolled back to, now or when a change that runs has ended."""
    with contextlib.suppress(DeploymentNotFoundError):
        yield from _versions_of(read_deployment(deployment_file))
    pending = Journal(deployment_file).pending()
    if pending is not None:
        yield from _versions_of(Landing.of_plain(pending["lands"]).of(Deployment()))


def _versions_of(deployment: Deployment) -> Iterator[Key]:
    for name, model in deployment.models.items():
        for version in (*model.versions, model.default, model.previous):
            if version is not None:
                yield name, version


def _changed(deployment_file: Path) -> Iterator[Key]:
    """Yield the versions that the journal names."""
    for entry in Journal(deployment_file).read():
        for end in (entry.get("from"), entry.get("to")):
            if isinstance(end, dict) and "version" in end:
                yield entry["name"], end["version"]
