"""The model store: a folder of published versions, each immutable and told by its manifest.

Nothing here parses a checkpoint or needs torch; a version is believed only as far as its
manifest's hashes reach, and a folder that holds anything else is refused.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from handlers.golden import GOLDEN_FILE
from scripts.errors import ManifestError, NameRuleError, VersionFolderError, VersionNotFoundError
from scripts.manifest import MANIFEST_FILE, MAX_MANIFEST_BYTES, VersionManifest, parse_manifest
from scripts.names import folder_name, split_folder_name, version_order


class FileIdentity(NamedTuple):
    """What changes when a file is replaced or written to, known without reading it."""

    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True)
class PublishedVersion:
    """One version in the store, its manifest read and its folder found to hold exactly what that lists."""

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
    """What a look through the whole store found."""

    versions: list[PublishedVersion]
    refused: list[VersionFolderError]


class ModelStore:
    """Published versions under one folder, each in ``NAME-VERSION``."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def scan(self) -> StoreListing:
        """Return every readable version, by name and ascending version, and what is wrong with the others."""
        listing = StoreListing([], [])
        for folder in self._folders():
            try:
                listing.versions.append(_read_folder(folder))
            except VersionFolderError as error:
                listing.refused.append(error)
        listing.versions.sort(key=lambda found: (found.name, version_order(found.version)))
        return listing

    def list_versions(self) -> list[PublishedVersion]:
        """Return every version, by name and ascending version.

        Raises VersionFolderError with what is wrong in every folder that is not one.
        """
        listing = self.scan()
        if listing.refused:
            problems = [problem for error in listing.refused for problem in error.problems]
            raise VersionFolderError(f"The model store {self.folder} holds what is no version:", problems)
        return listing.versions

    def get(self, name: str, version: str) -> PublishedVersion:
        """Return one version.

        Raises NameRuleError, VersionNotFoundError (it lists what there is) or VersionFolderError.
        """
        folder = self.folder / folder_name(name, version)
        if not _exists(folder):
            raise VersionNotFoundError(
                f"There is no version {version} of {name!r} in the model store {self.folder}; "
                f"it has {self._what_there_is(name)}. Publish it first: "
                f"statehouse publish CHECKPOINT --name {name} --version {version}"
            )
        return _read_folder(folder)

    def verify(self, version: PublishedVersion) -> dict[str, FileIdentity]:
        """Read every file and compare its SHA-256 with the manifest's.

        Returns the identity of each file (manifest included) that these hashes belong to.
        Raises VersionFolderError with every file that is not as it was published.
        """
        before = self.identity(version)
        problems = [
            problem
            for name in version.manifest.files
            if (problem := _content_problem(version, name)) is not None
        ]
        after = self.identity(version)
        problems += [
            f"{name} was changed while it was read" for name in before if before[name] != after[name]
        ]
        if problems:
            raise _refused(version.folder, problems)
        return after

    def identity(self, version: PublishedVersion) -> dict[str, FileIdentity]:
        """Return size, time and inode of every file of a version.

        Raises VersionFolderError when the folder holds anything else or less.
        """
        _check_layout(version.folder, set(version.file_names))
        return {name: identity_of(version.folder / name) for name in version.file_names}

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        # Hidden entries are a publish in progress; plain files (a README) are nobody's version.
        return sorted(
            entry
            for entry in self.folder.iterdir()
            if not entry.name.startswith(".") and (entry.is_dir() or entry.is_symlink())
        )

    def _what_there_is(self, name: str) -> str:
        folders = [folder.name for folder in self._folders()]
        same_name = [folder for folder in folders if folder.rpartition("-")[0] == name]
        return ", ".join(same_name or folders) or "no version at all"


def identity_of(path: Path) -> FileIdentity:
    """Return a file's identity, of the link itself where it is one."""
    found = path.lstat()
    return FileIdentity(found.st_size, found.st_mtime_ns, found.st_ino)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_folder(folder: Path) -> PublishedVersion:
    problem = _not_a_plain_folder(folder)
    if problem:
        raise _refused(folder, [problem])
    try:
        name, version = split_folder_name(folder.name)
        manifest = parse_manifest(_manifest_bytes(folder))
    except NameRuleError as error:
        raise _refused(folder, [str(error)]) from error
    except ManifestError as error:
        raise _refused(folder, [f"{MANIFEST_FILE}: {problem}" for problem in error.problems]) from error
    if (manifest.name, manifest.version) != (name, version):
        raise _refused(folder, [f"{MANIFEST_FILE} says that it is {manifest.name}-{manifest.version}"])
    found = PublishedVersion(folder, manifest)
    _check_layout(folder, set(found.file_names))
    return found


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST_FILE
    problem = _not_a_plain_file(path)
    if problem:
        raise _refused(folder, [problem])
    with path.open("rb") as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise _refused(folder, [f"{MANIFEST_FILE} has more than {MAX_MANIFEST_BYTES} bytes"])
    return content


def _check_layout(folder: Path, expected: set[str]) -> None:
    problem = _not_a_plain_folder(folder)
    if problem:
        raise _refused(folder, [problem])
    extra = sorted({entry.name for entry in folder.iterdir()} - expected)
    problems = [f"{name} does not belong to a version: data only, and nothing beside it" for name in extra]
    problems += [problem for name in sorted(expected) if (problem := _not_a_plain_file(folder / name))]
    if problems:
        raise _refused(folder, problems)


def _content_problem(version: PublishedVersion, name: str) -> str | None:
    record = version.manifest.files[name]
    path = version.folder / name
    size_bytes = path.lstat().st_size
    if size_bytes != record.size_bytes:
        return f"{name} has {size_bytes} bytes, published were {record.size_bytes}"
    digest = sha256_of(path)
    if digest != record.sha256:
        return f"{name} has SHA-256 {digest}, published was {record.sha256}"
    return None


def _not_a_plain_folder(folder: Path) -> str | None:
    if not _exists(folder):
        return "the folder is missing"
    return None if stat.S_ISDIR(folder.lstat().st_mode) else "it is a link or a file, not a folder"


def _not_a_plain_file(path: Path) -> str | None:
    if not _exists(path):
        return f"{path.name} is missing"
    if not stat.S_ISREG(path.lstat().st_mode):
        return f"{path.name} is not a plain file (a link or a folder is refused)"
    return None


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _refused(folder: Path, problems: list[str]) -> VersionFolderError:
    return VersionFolderError(
        f"{folder} is not a version as it was published:",
        [f"{folder.name}: {problem}" for problem in problems],
    )
