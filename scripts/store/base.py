"""What every model store is: published versions, each immutable and told by its manifest.

Wherever a store is, TorchServe's workers read files of this machine: ``folder`` holds the versions that are here.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path

from statehouse.handlers.worker.settings import FileIdentity
from statehouse.scripts.errors import VersionNotFoundError
from statehouse.scripts.store.folder import exists, identity_of_version, read_folder, verify_version
from statehouse.scripts.store.manifest import VersionManifest
from statehouse.scripts.store.names import folder_name
from statehouse.scripts.store.version import PublishedVersion, StoreListing

Tell = Callable[[str], None]  # is told what is being done, and how far it is


def tell_nobody(text: str) -> None:
    """Take what is being done, and show it nowhere."""


class ModelStore(ABC):
    """Published versions, told apart by name and version."""

    fetches = False  # whether versions are anywhere but on this machine

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder

    def place(self, name: str, version: str) -> str:
        """Return where a version is in the store, for people."""
        return f"{self.address}/{folder_name(name, version)}"

    # -- what is on this machine: no network, ever

    def has(self, name: str, version: str) -> bool:
        """Whether a version is on this machine."""
        return exists(self.folder / folder_name(name, version))

    def get(self, name: str, version: str) -> PublishedVersion:
        """Return a version that is on this machine.

        Raises NameRuleError, VersionNotFoundError (it lists what there is) or VersionFolderError.
        """
        if not self.has(name, version):
            raise VersionNotFoundError(self._not_here(name, version))
        return read_folder(self.folder / folder_name(name, version))

    def verify(self, version: PublishedVersion) -> dict[str, FileIdentity]:
        """Read every file and compare its SHA-256 with the manifest's.

        Returns the identity of each file (manifest included) that these hashes belong to.
        Raises VersionFolderError with every file that is not as it was published.
        """
        return verify_version(version)

    def identity(self, version: PublishedVersion) -> dict[str, FileIdentity]:
        """Return size, time and inode of every file of a version.

        Raises VersionFolderError when the folder holds anything else or less.
        """
        return identity_of_version(version)

    @abstractmethod
    def _not_here(self, name: str, version: str) -> str:
        """Return what to say where a version is not on this machine."""

    # -- the store itself

    @abstractmethod
    def scan(self) -> StoreListing:
        """Return every readable version, and what is wrong with the others; StoreError when nothing can be read."""

    @abstractmethod
    def find(self, name: str, version: str) -> VersionManifest | None:
        """Return what the store says now of a version, None when it has none.

        Raises VersionFolderError when it is not there as published, StoreError when that cannot be known.
        """

    @abstractmethod
    def obtain(
        self, name: str, version: str, tell: Tell = tell_nobody, stop: threading.Event | None = None
    ) -> PublishedVersion:
        """Bring a version to this machine if it is not here yet, and return it.

        May take as long as a transfer does; ``stop`` ends it early. Raises StoreError; then nothing has changed.
        """

    @abstractmethod
    def writing(self, tell: Tell) -> AbstractContextManager[None]:
        """Hold what publishing needs; raises StoreError when the store cannot be written."""

    @abstractmethod
    def draft(self, name: str, version: str, tell: Tell) -> AbstractContextManager[Path]:
        """Yield an empty folder to write a version into; once left, the version is in the store.

        On any exception nothing of it is to be seen there. Raises StoreWriteError, VersionExistsError.
        """

    @abstractmethod
    def keep_only(self, versions: Collection[tuple[str, str]]) -> None:
        """Let go of what was obtained, but of these versions, which are in use."""
