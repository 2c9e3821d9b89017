"""One version, as it lies in a folder of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from statehouse.handlers.golden import GOLDEN_FILE
from statehouse.scripts.errors import VersionFolderError
from statehouse.scripts.store.manifest import MANIFEST_FILE, VersionManifest


class NamedVersion(Protocol):
    """A version that is in the store, wherever its files are."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> str:
        """The version as users know it."""

    @property
    def digest(self) -> str:
        """The digest of what it computes."""


@dataclass(frozen=True)
class PublishedVersion:
    """One version on this machine, its manifest read and its folder found to hold exactly what that lists."""

    folder: Path
    manifest: VersionManifest

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The version as users know it."""
        return self.manifest.version

    @property
    def digest(self) -> str:
        """The digest of what it computes."""
        return self.manifest.digest

    @property
    def checkpoint_path(self) -> Path:
        """Its checkpoint."""
        return self.folder / self.manifest.checkpoint

    @property
    def golden_path(self) -> Path:
        """Its golden examples."""
        return self.folder / GOLDEN_FILE

    @cached_property
    def file_names(self) -> list[str]:
        """Every file of its folder, the manifest included."""
        return sorted([*self.manifest.files, MANIFEST_FILE])


@dataclass(frozen=True)
class StoreListing:
    """What a look through the whole store found, by name and ascending version."""

    versions: list[NamedVersion]
    refused: list[VersionFolderError]
