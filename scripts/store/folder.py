"""A version's folder: believed only as far as its manifest's hashes reach; one that holds anything else is refused.

Nothing here parses a checkpoint or needs torch.
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from statehouse.handlers.worker.settings import FileIdentity
from statehouse.scripts.errors import ManifestError, NameRuleError, VersionFolderError
from statehouse.scripts.store.manifest import MANIFEST_FILE, MAX_MANIFEST_BYTES, parse_manifest
from statehouse.scripts.store.names import split_folder_name
from statehouse.scripts.store.version import PublishedVersion


def read_folder(folder: Path) -> PublishedVersion:
    """Return the version in ``folder``; VersionFolderError says all that keeps it from being one."""
    problem = _not_a_plain_folder(folder)
    if problem:
        raise refused(folder, [problem])
    try:
        name, version = split_folder_name(folder.name)
        manifest = parse_manifest(_manifest_bytes(folder))
    except NameRuleError as error:
        raise refused(folder, [str(error)]) from error
    except ManifestError as error:
        raise refused(folder, [f"{MANIFEST_FILE}: {problem}" for problem in error.problems]) from error
    if (manifest.name, manifest.version) != (name, version):
        raise refused(folder, [f"{MANIFEST_FILE} says that it is {manifest.name}-{manifest.version}"])
    found = PublishedVersion(folder, manifest)
    _check_layout(folder, set(found.file_names))
    return found


def verify_version(version: PublishedVersion) -> dict[str, FileIdentity]:
    """Read every file and compare its SHA-256 with the manifest's.

    Returns the identity of each file (manifest included) that these hashes belong to.
    Raises VersionFolderError with every file that is not as it was published.
    """
    before = identity_of_version(version)
    problems = [
        problem for name in version.manifest.files if (problem := _content_problem(version, name)) is not None
    ]
    after = identity_of_version(version)
    problems += [f"{name} was changed while it was read" for name in before if before[name] != after[name]]
    if problems:
        raise refused(version.folder, problems)
    return after


def identity_of_version(version: PublishedVersion) -> dict[str, FileIdentity]:
    """Return size, time and inode of every file of a version.

    Raises VersionFolderError when the folder holds anything else or less.
    """
    _check_layout(version.folder, set(version.file_names))
    return {name: identity_of(version.folder / name) for name in version.file_names}


def identity_of(path: Path) -> FileIdentity:
    """Return a file's identity, of the link itself where it is one."""
    return FileIdentity.of(path.lstat())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST_FILE
    problem = _not_a_plain_file(path)
    if problem:
        raise refused(folder, [problem])
    with path.open("rb") as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise refused(folder, [f"{MANIFEST_FILE} has more than {MAX_MANIFEST_BYTES} bytes"])
    return content


def _check_layout(folder: Path, expected: set[str]) -> None:
    problem = _not_a_plain_folder(folder)
    if problem:
        raise refused(folder, [problem])
    extra = sorted({entry.name for entry in folder.iterdir()} - expected)
    problems = [f"{name} does not belong to a version: data only, and nothing beside it" for name in extra]
    problems += [problem for name in sorted(expected) if (problem := _not_a_plain_file(folder / name))]
    if problems:
        raise refused(folder, problems)


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
    if not exists(folder):
        return "the folder is missing"
    return None if stat.S_ISDIR(folder.lstat().st_mode) else "it is a link or a file, not a folder"


def _not_a_plain_file(path: Path) -> str | None:
    if not exists(path):
        return f"{path.name} is missing"
    if not stat.S_ISREG(path.lstat().st_mode):
        return f"{path.name} is not a plain file (a link or a folder is refused)"
    return None


def exists(path: Path) -> bool:
    """Whether anything is there, a link that leads nowhere included."""
    return path.is_symlink() or path.exists()


def refused(folder: Path, problems: list[str]) -> VersionFolderError:
    """Return what to raise of a version's folder that is not as it was published."""
    return VersionFolderError(
        f"{folder} is not a version as it was published:",
        [f"{folder.name}: {problem}" for problem in problems],
    )
