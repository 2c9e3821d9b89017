"""``published.json``, the object that makes a version visible: what its manifest is. It is written last, and once."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from statehouse.scripts.errors import VersionFolderError
from statehouse.scripts.store.manifest import (
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    FileRecord,
    Sha256,
    VersionManifest,
    parse_manifest,
)
from statehouse.scripts.store.names import folder_name
from statehouse.scripts.validation import problems_of

HEAD_FILE = "published.json"
MAX_HEAD_BYTES = 4096


class Head(BaseModel):
    """What a version in object storage is known by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    digest: Sha256
    manifest: FileRecord

    def to_json(self) -> bytes:
        """Return the object's content."""
        return self.model_dump_json(indent=2).encode() + b"\n"


def parse_head(folder: str, content: bytes) -> Head:
    """Read a head; VersionFolderError says what is wrong with it."""
    try:
        head = Head.model_validate_json(content)
    except ValidationError as error:
        raise not_as_published(folder, [f"{HEAD_FILE}: {each}" for each in problems_of(error)]) from error
    if head.manifest.size_bytes > MAX_MANIFEST_BYTES:
        raise not_as_published(folder, [f"{MANIFEST_FILE} has more than {MAX_MANIFEST_BYTES} bytes"])
    return head


def manifest_of(folder: str, head: Head, content: bytes) -> VersionManifest:
    """Read a manifest whose SHA-256 is the head's; it must be of this version and of the head's digest."""
    manifest = parse_manifest(content)
    if folder_name(manifest.name, manifest.version) != folder:
        raise not_as_published(folder, [f"{MANIFEST_FILE} is of {manifest.name} {manifest.version}"])
    if manifest.digest != head.digest:
        raise not_as_published(
            folder, [f"digest: {HEAD_FILE} says {head.digest}, {MANIFEST_FILE} {manifest.digest}"]
        )
    return manifest


def key_of(folder: str, name: str, record: FileRecord) -> str:
    """Return where a file of a version is: by its content, so that nobody ever writes over another's."""
    return f"{folder}/{record.sha256}/{name}"


def head_key(folder: str) -> str:
    """Return where the head of a version is."""
    return f"{folder}/{HEAD_FILE}"


def not_as_published(folder: str, problems: list[str]) -> VersionFolderError:
    """Return what to raise of a version in object storage that is not as it was published."""
    return VersionFolderError(
        "The store does not have the version as it was published:", [f"{folder}: {each}" for each in problems]
    )
