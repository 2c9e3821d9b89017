"""How a version comes into the store: written beside the others under a hidden name, synced, renamed.

One process at a time writes to a store; so what an earlier one left unfinished can be told, and removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from statehouse.scripts.durable import sync
from statehouse.scripts.errors import StoreWriteError

DRAFT_PREFIX = ".publishing-"
LOCK_FILE = ".publishing.lock"
PUBLISHED_FILE_MODE = 0o444


@contextmanager
def store_lock(store_folder: Path, *, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the right to write to the store, which is made if it is absent; ``on_wait`` when another holds it.

    The kernel lets go of it when the process dies. Raises StoreWriteError.
    """
    try:
        store_folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(store_folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _write_error(store_folder, error) from error
    try:
        _lock(descriptor, on_wait)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def draft_version(store_folder: Path, folder_name: str) -> Iterator[Path]:
    """Yield an empty folder to write a version into; once left, the version is there as ``folder_name``.

    On any exception nothing of it stays. The store's lock must be held. Raises StoreWriteError when the
    store cannot be written.
    """
    remove_stale_drafts(store_folder)
    draft = store_folder / f"{DRAFT_PREFIX}{folder_name}"
    try:
        draft.mkdir()
        yield draft
        _put_in_place(draft, store_folder / folder_name)
    except OSError as error:
        raise _write_error(store_folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_stale_drafts(store_folder: Path) -> None:
    """Remove what interrupted publishes left; whoever holds the store's lock knows that they are dead."""
    for draft in store_folder.glob(f"{DRAFT_PREFIX}*"):
        shutil.rmtree(draft)


def _put_in_place(draft: Path, target: Path) -> None:
    for file in draft.iterdir():
        file.chmod(PUBLISHED_FILE_MODE)
        sync(file)
    sync(draft)
    draft.rename(target)
    sync(target.parent)


def _lock(descriptor: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _write_error(store_folder: Path, error: OSError) -> StoreWriteError:
    place = error.filename or store_folder
    return StoreWriteError(
        f"The model store {store_folder} cannot be written: {error.strerror} ({place}). "
        "Make room, or make it yours to write; nothing was published."
    )
