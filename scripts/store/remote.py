"""A model store in object storage: versions are fetched into the cache of this machine before they are used.

::

    ADDRESS/NAME-VERSION/published.json        the head: digest, and SHA-256 of the manifest
    ADDRESS/NAME-VERSION/SHA256/version.json   the manifest, and so each file, by its content
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from statehouse.handlers.worker.settings import FileIdentity
from statehouse.scripts.errors import (
    NameRuleError,
    StoreAwayError,
    StoreError,
    VersionFolderError,
    VersionNotFoundError,
)
from statehouse.scripts.store.base import ModelStore, Tell, tell_nobody
from statehouse.scripts.store.cache import Cache, hold
from statehouse.scripts.store.eviction import make_room
from statehouse.scripts.store.fetch import fetch_file
from statehouse.scripts.store.folder import exists, read_folder
from statehouse.scripts.store.manifest import MANIFEST_FILE, VersionManifest
from statehouse.scripts.store.names import folder_name, split_folder_name, version_order
from statehouse.scripts.store.objects import Objects
from statehouse.scripts.store.published import (
    MAX_HEAD_BYTES,
    Head,
    head_key,
    key_of,
    manifest_of,
    not_as_published,
    parse_head,
)
from statehouse.scripts.store.transfer_progress import Meter
from statehouse.scripts.store.upload import records_of, upload_version
from statehouse.scripts.store.version import NamedVersion, PublishedVersion, StoreListing

AT_ONCE = 8  # heads that are asked for together


@dataclass(frozen=True)
class RemoteVersion:
    """A version that is in the store, and perhaps not on this machine."""

    name: str
    version: str
    digest: str


class RemoteStore(ModelStore):
    """Published versions below one address."""

    fetches = True

    def __init__(self, address: str, cache: Cache) -> None:
        super().__init__(address, cache.store_folder(address))
        self._objects = Objects(address)
        self._cache = cache
        self._held: dict[str, int] = {}

    # -- the store

    def scan(self) -> StoreListing:
        """See ModelStore; a folder without a head is a publish that has not ended."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(self._look_at, self._objects.folders()))
        versions: list[NamedVersion] = [each for each in found if isinstance(each, RemoteVersion)]
        versions.sort(key=lambda each: (each.name, version_order(each.version)))
        return StoreListing(versions, [each for each in found if isinstance(each, VersionFolderError)])

    def _look_at(self, folder: str) -> RemoteVersion | VersionFolderError | None:
        try:
            name, version = split_folder_name(folder)
            head = self._head(folder)
        except NameRuleError:
            return None
        except VersionFolderError as error:
            return error
        return None if head is None else RemoteVersion(name, version, head.digest)

    def find(self, name: str, version: str) -> VersionManifest | None:
        """See ModelStore; of the other files only the sizes are asked for."""
        folder = folder_name(name, version)
        head = self._head(folder)
        if head is None:
            return None
        with self._cache.shared():
            manifest = self._manifest(folder, head, Meter(folder, head.manifest.size_bytes, tell_nobody))
        sizes = self._objects.sizes(folder)
        problems = [
            f"{key} has {sizes.get(key, 'no')} bytes, published were {record.size_bytes}"
            for file, record in manifest.files.items()
            if sizes.get(key := key_of(folder, file, record)) != record.size_bytes
        ]
        if problems:
            raise not_as_published(folder, problems)
        return manifest

    def obtain(
        self, name: str, version: str, tell: Tell = tell_nobody, stop: threading.Event | None = None
    ) -> PublishedVersion:
        """Fetch a version, unless it is in the cache: then the store is not asked. It is held until let go of."""
        folder = folder_name(name, version)
        with self._cache.shared():
            path = self.folder / folder
            if not exists(path):
                self._fetch(folder, name, tell, stop or threading.Event())
            self._hold(folder)
            os.utime(path)  # used now
        make_room(self._cache, self._cache.max_bytes)
        return read_folder(path)

    def verify(self, version: PublishedVersion) -> dict[str, FileIdentity]:
        """See ModelStore; what the cache has spoilt is removed from it, so that it can be fetched again."""
        try:
            return super().verify(version)
        except VersionFolderError as error:
            self._cache.drop(version.folder)
            raise VersionFolderError(
                f"The cache's copy of {version.folder.name} was not as published and is removed; ask again, and it is "
                f"fetched from {self.address}:",
                error.problems,
            ) from error

    def keep_only(self, versions: Collection[tuple[str, str]]) -> None:
        """See ModelStore."""
        used = {folder_name(*version) for version in versions}
        for folder in self._held.keys() - used:
            os.close(self._held.pop(folder))

    # -- publishing

    @contextmanager
    def writing(self, tell: Tell) -> Iterator[None]:
        """See that the store can be written, and keeps the condition that everything rests on."""
        tell(f"asking {self.address}")
        self._objects.refuse_unwritable()
        yield

    @contextmanager
    def draft(self, name: str, version: str, tell: Tell) -> Iterator[Path]:
        """See ModelStore; what was published is in the cache as well."""
        folder = folder_name(name, version)
        with self._cache.shared(), self._cache.draft(folder) as draft:
            yield draft
            if upload_version(self._objects, folder, draft, tell):
                files = records_of(draft)
                self._cache.adopt(draft)
                self._cache.assemble(self.address, folder, files)

    # -- parts

    def _head(self, folder: str) -> Head | None:
        content = self._objects.read(head_key(folder), MAX_HEAD_BYTES)
        return None if content is None else parse_head(folder, content)

    def _manifest(self, folder: str, head: Head, meter: Meter) -> VersionManifest:
        key = key_of(folder, MANIFEST_FILE, head.manifest)
        fetch_file(self._objects, key, head.manifest, self._cache, meter, threading.Event())
        return manifest_of(folder, head, (self._cache.files / head.manifest.sha256).read_bytes())

    def _fetch(self, folder: str, name: str, tell: Tell, stop: threading.Event) -> None:
        try:
            head = self._head(folder)
        except StoreAwayError as error:
            raise StoreAwayError(f"{error} {self._not_here(*split_folder_name(folder))}") from error
        if head is None:
            raise VersionNotFoundError(self._not_found(name, folder.rpartition("-")[2]))
        if folder in self._held:  # it was here, and somebody has removed it
            os.close(self._held.pop(folder))
        manifest = self._manifest(folder, head, Meter(folder, head.manifest.size_bytes, tell))
        total = sum(record.size_bytes for record in manifest.files.values())
        meter = Meter(f"{folder} from {self.address}", total, tell)
        for file, record in manifest.files.items():
            fetch_file(self._objects, key_of(folder, file, record), record, self._cache, meter, stop)
        self._cache.assemble(self.address, folder, {**manifest.files, MANIFEST_FILE: head.manifest})

    def _hold(self, folder: str) -> None:
        if folder not in self._held:
            self._held[folder] = hold(self.folder / folder)

    def _not_here(self, name: str, version: str) -> str:
        here = sorted(each.name for each in self.folder.glob("*-*")) if self.folder.is_dir() else []
        return (
            f"{name} {version} is not in the cache, which has {', '.join(here) or 'nothing'} of this store."
        )

    def _not_found(self, name: str, version: str) -> str:
        try:
            found = [f"{each.name}-{each.version}" for each in self.scan().versions]
        except StoreError:
            found = []
        same_name = [folder for folder in found if folder.rpartition("-")[0] == name]
        return (
            f"There is no version {version} of {name!r} in the model store {self.address}; "
            f"it has {', '.join(same_name or found) or 'no version that can be listed'}. Publish it first: "
            f"statehouse publish CHECKPOINT --name {name} --version {version} --store {self.address}"
        )
