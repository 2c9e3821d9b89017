"""The code that proved a version: a copy of each architecture module, by its digest, beside ``deployment.yaml``.

The copies are the operator's own. They come from this machine's files, by ``publish`` and ``statehouse architecture
add``; never from a version and never from a store. What is there is not changed, and only removed by whoever asks.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from statehouse.models.architecture_import import built_in_names
from statehouse.models.errors import SnapshotError, StatehouseError, listed
from statehouse.models.snapshots.files import digest_of, read_folder, units_of
from statehouse.models.snapshots.source import ModuleSource, find_source, unit_path
from statehouse.scripts.durable import sync
from statehouse.scripts.errors import DeploymentWriteError, UnknownCodeError
from statehouse.scripts.store.manifest import ArchitectureCode, VersionManifest

# The folder of an image that has been built with its architectures.
IMAGE_VARIABLE = "STATEHOUSE_ARCHITECTURES"
SHOWN_DIGITS = 12
_DRAFT = ".adding-"


@dataclass(frozen=True)
class Kept:
    """One snapshot."""

    digest: str
    modules: list[str]
    files: list[str]
    size_bytes: int


@dataclass(frozen=True)
class Snapshots:
    """The folder of one deployment; it need not exist. Of an image's nothing is added while it serves."""

    folder: Path
    of_an_image: bool = False

    @classmethod
    def of_deployment(cls, file: Path) -> Snapshots:
        """Return the snapshots beside a deployment file, or those of the image that this runs in."""
        of_the_image = os.environ.get(IMAGE_VARIABLE)
        if of_the_image:
            return cls(Path(of_the_image), of_an_image=True)
        return cls(file.resolve().with_suffix(".architectures"))

    def place(self, digest: str) -> Path:
        """Return where the snapshot of this digest is, if it is there."""
        return self.folder / digest

    def find(self, code: ArchitectureCode, what: str) -> Path:
        """Return the folder of the code that ``what`` was proved with.

        Raises UnknownCodeError, with the command that adds it, where it is not there or was changed.
        """
        place = self.place(code.digest)
        try:
            found = digest_of(read_folder(place)) if place.is_dir() else None
        except (OSError, SnapshotError) as error:
            raise UnknownCodeError(f"The code of {what} in {place} cannot be read: {error}") from error
        if found == code.digest:
            return place
        wrong = "is not in" if found is None else "was changed in"
        told = (
            f"{what} was proved by the module {code.module} of digest {code.digest[:SHOWN_DIGITS]}, which {wrong} "
            f"{self.folder}. A version brings no code: get the module as it was then (where it was published it is "
            f"kept as {code.digest[:SHOWN_DIGITS]}…), put it into a folder, and add it:"
        )
        command = f"statehouse architecture add {code.module} --digest {code.digest} --from FOLDER"
        raise UnknownCodeError(listed(told, [command]))

    def keep(self, source: ModuleSource) -> None:
        """Have the code of a version that is being published.

        Raises UnknownCodeError in an image that has another one, DeploymentWriteError where it cannot be written.
        """
        if not self.of_an_image:
            self.add(source)
        elif not self.place(source.digest).is_dir():
            raise UnknownCodeError(
                f"This image was not built with {source.module} as it is in {source.root} (digest "
                f"{source.digest[:SHOWN_DIGITS]}), and an image's architectures do not change while it runs. Where it "
                f"is built, add: RUN statehouse architecture add {source.module} --from FOLDER"
            )

    def have(self, module: str) -> bool:
        """Whether there is any code of this module."""
        places = self.folder.iterdir() if self.folder.is_dir() else ()
        return any(unit_path(place, module) for place in places)

    def kept(self) -> list[Kept]:
        """Return what is there, but for what was changed."""
        found = []
        for place in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            files = read_folder(place) if place.is_dir() and not place.name.startswith(".") else {}
            if files and digest_of(files) == place.name:
                size_bytes = sum(map(len, files.values()))
                found.append(Kept(place.name, sorted(units_of(files)), sorted(files), size_bytes))
        return found

    def add(self, source: ModuleSource) -> bool:
        """Keep a copy, wholly or not at all; return whether it was not there before. Raises DeploymentWriteError."""
        place = self.place(source.digest)
        try:
            if place.is_dir() and digest_of(read_folder(place)) == source.digest:
                os.utime(place)  # it is wanted again, by a version that may not be in the store yet
                return False
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.folder))
            try:
                write_files(draft, source.files)
                for each in draft.rglob("*"):
                    sync(each)
                sync(draft)
                if place.is_dir():  # it was changed, and serves nobody so
                    place.rename(draft / ".changed")
                draft.rename(place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(place / ".changed", ignore_errors=True)
            sync(self.folder)
            sync(self.folder.parent)
        except OSError as error:
            raise DeploymentWriteError(
                f"{error.filename or self.folder} cannot be written: {error.strerror or error}. Make room, or let "
                "this user write in that folder, and ask again."
            ) from error
        return True

    def remove(self, digest: str) -> None:
        """Remove a copy; nobody finds half of it. Raises DeploymentWriteError."""
        try:
            aside = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.folder))
            try:
                self.place(digest).rename(aside / digest)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        except OSError as error:
            raise DeploymentWriteError(
                f"{error.filename or self.folder} cannot be removed: {error.strerror or error}."
            ) from error


def needs_modules_on_disk(manifest: VersionManifest) -> bool:
    """Whether a version is of an architecture of somebody's own, and was published before its code was kept."""
    own = ":" not in manifest.architecture and manifest.architecture not in built_in_names()
    return own and manifest.architecture_code is None


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a module below ``folder``, for this user to read; raises OSError."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o400)


@dataclass(frozen=True)
class SeenCode:
    """A module as it was on disk: its digest, and the SHA-256 of each of its files by its path below ``root``."""

    root: Path
    digest: str
    files: Mapping[str, str]

    @classmethod
    def of(cls, source: ModuleSource) -> SeenCode:
        """Return what is remembered of a module that was read."""
        hashes = {path: hashlib.sha256(content).hexdigest() for path, content in source.files.items()}
        return cls(source.root, source.digest, hashes)


class CodeOnDisk:
    """Whether modules on disk are still the code that serves. What has not changed is read once."""

    def __init__(self, beside: Path | None = None) -> None:
        self._folders = [beside] if beside is not None else []
        self._known: dict[str, tuple[SeenCode, object]] = {}

    def seen(self, module: str) -> SeenCode | None:
        """Return the module as it is on disk now; None where it is not there, or cannot be read."""
        known = self._known.get(module)
        if known is not None and known[1] == _looks(known[0]):
            return known[0]
        try:
            found = SeenCode.of(find_source(module, self._folders))
            self._known[module] = found, _looks(found)
        except (OSError, StatehouseError):
            self._known.pop(module, None)
            return None
        return found

    def changed(self, manifest: VersionManifest, modules: Sequence[str]) -> str | None:
        """Say that what is on disk is not what proved a version; None where it is, or where there is nothing.

        ``modules`` are those that the deployment names.
        """
        code = manifest.architecture_code
        if code is None:
            return self._changed_source(manifest, modules) if needs_modules_on_disk(manifest) else None
        seen = self.seen(code.module)
        if seen is None or seen.digest == code.digest:
            return None
        return (
            f"{code.module} on disk is newer than the code that proved this version and serves it "
            f"({seen.digest[:SHOWN_DIGITS]}, not {code.digest[:SHOWN_DIGITS]}); to serve it, publish another version"
        )

    def _changed_source(self, manifest: VersionManifest, modules: Sequence[str]) -> str | None:
        found = filter(None, map(self.seen, modules))
        digests = {digest for each in found for digest in each.files.values()}
        if manifest.architecture_source_digest is None or manifest.architecture_source_digest in digests:
            return None
        return (
            f"the file of architecture {manifest.architecture!r} is not the one that it was published with. It was "
            "published before code was kept: its workers import what is on disk. Publish it as another version"
        )


def _looks(seen: SeenCode) -> object:
    """Return what changes when a file of the module does, or when one is added to its package."""
    folders = {(seen.root / path).parent for path in seen.files} - {seen.root}
    places = [*(seen.root / path for path in seen.files), *sorted(folders)]
    found = []
    for place in places:
        try:
            status = place.stat()
        except OSError:
            return object()  # equal to nothing
        found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return found
