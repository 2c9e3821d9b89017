"""One object into the cache: from where an earlier try ended, in blocks, checked before it counts as there."""

from __future__ import annotations

import threading
import time

from statehouse.scripts.errors import (
    ChangedObjectError,
    StoreAwayError,
    TransferStoppedError,
    VersionFolderError,
)
from statehouse.scripts.store.cache import Cache
from statehouse.scripts.store.folder import sha256_of
from statehouse.scripts.store.manifest import FileRecord
from statehouse.scripts.store.objects import ATTEMPTS, PAUSE_SECONDS, ObjectReader, Objects
from statehouse.scripts.store.partial_file import Part
from statehouse.scripts.store.transfer_progress import Meter

LEAST_BLOCK_BYTES, FIRST_BLOCK_BYTES, LARGEST_BLOCK_BYTES = 256 << 10, 1 << 20, 16 << 20
BLOCK_SECONDS = 1.0  # a slow connection gets small blocks: what is lost with it is little, and progress shows
WRONG_TIMES = (
    2  # what a connection spoilt comes right when fetched once more, what the store has wrong does not
)

Stop = threading.Event


def fetch_file(
    objects: Objects, key: str, record: FileRecord, cache: Cache, meter: Meter, stop: Stop
) -> None:
    """Bring one file into the cache, if it is not there.

    Raises VersionFolderError when the object is missing or has other bytes than published, StoreAwayError when the
    store does not answer: what has come by then is kept for the next time.
    """
    with cache.part(record, meter.note, stop) as part:
        if part is None:
            meter.add(record.size_bytes, moved=False)
            return
        meter.add(part.size_bytes, moved=False)
        for _ in range(WRONG_TIMES):
            try:
                _complete(objects, key, part, record.size_bytes, meter, stop)
            except ChangedObjectError as error:
                found = str(error)
            else:
                digest = sha256_of(part.path)
                if digest == record.sha256:
                    part.keep()
                    return
                found = f"it has SHA-256 {digest}, published was {record.sha256}"
            meter.add(-part.size_bytes, moved=False)
            part.empty()
            meter.note(f"{key} is not what was published; fetching it once more")
    raise VersionFolderError(
        f"{objects.address} does not have the version as it was published; nothing of it is kept:",
        [f"{key}: {found}"],
    )


def _complete(objects: Objects, key: str, part: Part, size_bytes: int, meter: Meter, stop: Stop) -> None:
    """Fetch what a part lacks; a lost connection is tried again, from where it was lost."""
    failures = 0
    while part.size_bytes < size_bytes:
        before = part.size_bytes
        try:
            _read(objects, key, part, size_bytes, meter, stop)
        except FileNotFoundError as error:
            raise VersionFolderError(
                f"{objects.address} does not have the version as it was published:", [f"{key} is missing"]
            ) from error
        except StoreAwayError as error:
            failures = 1 if part.size_bytes > before else failures + 1
            if failures == ATTEMPTS:
                raise StoreAwayError(
                    f"{error} {part.size_bytes:,} of {size_bytes:,} bytes of {key} are kept; the next try goes on "
                    "from there."
                ) from error
            meter.note(f"the connection was lost at {part.size_bytes / 1e6:,.1f} MB; going on from there")
            stop.wait(PAUSE_SECONDS * 2**failures)


def _read(objects: Objects, key: str, part: Part, size_bytes: int, meter: Meter, stop: Stop) -> None:
    reader = objects.open(key)
    try:
        if reader.size_bytes != size_bytes:
            raise ChangedObjectError(f"it has {reader.size_bytes:,} bytes, published were {size_bytes:,}")
        _read_blocks(reader, part, size_bytes, meter, stop)
    finally:
        reader.close()


def _read_blocks(reader: ObjectReader, part: Part, size_bytes: int, meter: Meter, stop: Stop) -> None:
    block_bytes = FIRST_BLOCK_BYTES
    while part.size_bytes < size_bytes:
        if stop.is_set():
            raise TransferStoppedError("The transfer was stopped; what has come is kept for the next time.")
        began = time.monotonic()
        block = reader.read(part.size_bytes, min(block_bytes, size_bytes - part.size_bytes))
        if not block:
            raise StoreAwayError("The store ended its answer too early.")
        part.append(block)
        meter.add(len(block))
        faster = BLOCK_SECONDS / max(time.monotonic() - began, 1e-3)
        block_bytes = int(min(max(block_bytes * min(faster, 2), LEAST_BLOCK_BYTES), LARGEST_BLOCK_BYTES))
