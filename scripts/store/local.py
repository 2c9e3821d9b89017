"""A model store that is a folder of this machine: its versions are here already."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from statehouse.scripts.errors import VersionFolderError
from statehouse.scripts.store.base import ModelStore, Tell, tell_nobody
from statehouse.scripts.store.draft import draft_version, store_lock
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import VersionManifest
from statehouse.scripts.store.names import did_you_mean, folder_name, version_order
from statehouse.scripts.store.version import PublishedVersion, StoreListing


class LocalStore(ModelStore):
    """Published versions under one folder, each in ``NAME-VERSION``."""

    def __init__(self, folder: Path | str) -> None:
        super().__init__(str(folder), Path(folder))

    def scan(self) -> StoreListing:
        """See ModelStore."""
        versions, refused = [], []
        for folder in self._folders():
            try:
                versions.append(read_folder(folder))
            except VersionFolderError as error:
                refused.append(error)
        versions.sort(key=lambda found: (found.name, version_order(found.version)))
        return StoreListing(list(versions), refused)

    def find(self, name: str, version: str) -> VersionManifest | None:
        """See ModelStore."""
        if not self.has(name, version):
            return None
        published = self.get(name, version)
        self.verify(published)
        return published.manifest

    def obtain(
        self, name: str, version: str, tell: Tell = tell_nobody, stop: threading.Event | None = None
    ) -> PublishedVersion:
        """Return what is here: nothing need be fetched."""
        return self.get(name, version)

    @contextmanager
    def writing(self, tell: Tell) -> Iterator[None]:
        """Hold the store's lock."""
        with store_lock(self.folder, on_wait=lambda: tell("waiting for another publish to end")):
            yield

    @contextmanager
    def draft(self, name: str, version: str, tell: Tell) -> Iterator[Path]:
        """See ModelStore; the store's lock must be held."""
        with draft_version(self.folder, folder_name(name, version)) as draft:
            yield draft

    def keep_only(self, versions: Collection[tuple[str, str]]) -> None:
        """Nothing is held: what is published stays."""

    def _not_here(self, name: str, version: str) -> str:
        folders = [folder.name for folder in self._folders()]
        same_name = [folder for folder in folders if folder.rpartition("-")[0] == name]
        return (
            f"There is no version {version} of {name!r} in the model store {self.folder}; "
            f"it has {', '.join(same_name or folders) or 'no version at all'}."
            f"{did_you_mean(name, (folder.rpartition('-')[0] for folder in folders))} Publish it first: "
            f"statehouse publish CHECKPOINT --name {name} --version {version}"
        )

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        # Hidden entries are a publish in progress; plain files (a README) are nobody's version.
        return sorted(
            entry
            for entry in self.folder.iterdir()
            if not entry.name.startswith(".") and (entry.is_dir() or entry.is_symlink())
        )
