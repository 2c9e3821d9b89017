"""A version into object storage: its files first, each by its content, and last, on a condition, the head.

Until the head is there nobody sees the version; whoever writes it first has published, whatever others do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from statehouse.scripts.errors import StoreError, VersionExistsError
from statehouse.scripts.store.base import Tell
from statehouse.scripts.store.folder import sha256_of
from statehouse.scripts.store.manifest import MANIFEST_FILE, FileRecord, parse_manifest
from statehouse.scripts.store.objects import Objects
from statehouse.scripts.store.published import MAX_HEAD_BYTES, Head, head_key, key_of, parse_head
from statehouse.scripts.store.transfer_progress import Meter


def records_of(draft: Path) -> dict[str, FileRecord]:
    """Return every file of a version's folder, the manifest last."""
    path = draft / MANIFEST_FILE
    manifest = FileRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size)
    return {**parse_manifest(path.read_bytes()).files, MANIFEST_FILE: manifest}


def upload_version(objects: Objects, folder: str, draft: Path, tell: Tell) -> bool:
    """Publish the version in ``draft``; return False where the same was published meanwhile.

    What an earlier, interrupted upload has left of the same files is used; all else of it is removed.
    Raises VersionExistsError where another was, StoreError when it could not be uploaded: it is not published then.
    """
    files = records_of(draft)
    ours = [key_of(folder, name, record) for name, record in files.items()]
    _upload_files(objects, folder, draft, files, tell)
    head = Head(
        digest=parse_manifest((draft / MANIFEST_FILE).read_bytes()).digest, manifest=files[MANIFEST_FILE]
    )
    if objects.create(head_key(folder), head.to_json()):
        _tidy(objects, folder, [*ours, head_key(folder)], tell)
        return True
    there = parse_head(folder, objects.read(head_key(folder), MAX_HEAD_BYTES) or b"")
    if there == head:
        return True  # ours: only the answer had been lost
    _tidy(objects, folder, _keys_of(objects, folder, there), tell, only=ours)
    if there.digest != head.digest:
        raise VersionExistsError(
            f"{folder} was published by another meanwhile, with digest {there.digest}; this one has {head.digest}. "
            "A version never changes: publish under another version."
        )
    return False


def _upload_files(
    objects: Objects, folder: str, draft: Path, files: Mapping[str, FileRecord], tell: Tell
) -> None:
    from fsspec.callbacks import Callback

    class Watch(Callback):  # type: ignore[misc]  # fsspec has no types
        def relative_update(self, inc: int = 1) -> None:
            meter.add(inc)

    meter = Meter(f"uploading {folder}", sum(record.size_bytes for record in files.values()), tell)
    there = objects.sizes(folder)
    for name, record in files.items():
        key = key_of(folder, name, record)
        if there.get(key) == record.size_bytes:
            meter.add(record.size_bytes, moved=False)
        else:
            objects.upload(str(draft / name), key, Watch())


def _keys_of(objects: Objects, folder: str, head: Head) -> list[str]:
    """Return every object of a version that another has published."""
    manifest_key = key_of(folder, MANIFEST_FILE, head.manifest)
    manifest = parse_manifest(objects.read(manifest_key, head.manifest.size_bytes) or b"")
    return [*(key_of(folder, name, record) for name, record in manifest.files.items()), manifest_key]


def _tidy(
    objects: Objects, folder: str, keep: list[str], tell: Tell, *, only: list[str] | None = None
) -> None:
    """Remove what belongs to no published version; where that fails the version is published all the same."""
    try:
        found = objects.sizes(folder) if only is None else only
        objects.remove([key for key in found if key not in keep])
        objects.remove_unfinished(folder)
    except StoreError as error:
        tell(f"what an interrupted publish had left is still there: {error}")
