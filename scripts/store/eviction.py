"""What the cache holds, and making room in it: what was not used for longest goes first, what is in use never."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from statehouse.scripts.store.cache import ADDRESS_FILE, Cache, cache_errors, is_held


@dataclass(frozen=True)
class CachedVersion:
    """One version in the cache. Files that versions share count for each."""

    store: str
    folder: Path
    size_bytes: int
    used: float  # seconds since the epoch
    in_use: bool

    @property
    def name(self) -> str:
        """``NAME-VERSION``."""
        return self.folder.name


@dataclass(frozen=True)
class Room:
    """What was removed, and how much there is now."""

    removed: list[CachedVersion]
    size_bytes: int
    busy: bool = False  # something is being fetched or published: nothing was removed


def cached_versions(cache: Cache) -> list[CachedVersion]:
    """Return every version in the cache, the one that was used last first."""
    with cache.shared():
        return sorted(_versions(cache), key=lambda each: -each.used)


def size_of(cache: Cache) -> int:
    """Return how many bytes the cache takes on disk, files that are not complete yet included."""
    return sum(_size_of(file) for file in cache.files.iterdir()) if cache.files.is_dir() else 0


def make_room(cache: Cache, max_bytes: int) -> Room:
    """Remove versions that nobody uses, and what belongs to none, until ``max_bytes`` are kept at most.

    Nothing is removed while anybody fetches or publishes. Raises CacheError.
    """
    with cache.alone() as alone, cache_errors(cache.folder):
        if not alone:
            return Room([], size_of(cache), busy=True)
        removed = []
        _remove_leftovers(cache)
        if size_of(cache) > max_bytes:
            for part in cache.files.glob("*.part"):
                part.unlink()
        for version in sorted(_versions(cache), key=lambda each: each.used):
            if size_of(cache) <= max_bytes:
                break
            if not version.in_use:
                shutil.rmtree(version.folder)
                removed.append(version)
                _remove_unlinked(cache)
        return Room(removed, size_of(cache))


def _remove_leftovers(cache: Cache) -> None:
    for draft in cache.drafts.iterdir():
        if not is_held(draft):
            shutil.rmtree(draft)
    for beside in cache.stores.glob("*/.*-*"):
        shutil.rmtree(beside)
    _remove_unlinked(cache)


def _remove_unlinked(cache: Cache) -> None:
    """Remove complete files of which no version is made."""
    for file in cache.files.iterdir():
        if not file.suffix and file.stat().st_nlink == 1:
            file.unlink()


def _versions(cache: Cache) -> Iterator[CachedVersion]:
    for store in cache.stores.iterdir():
        address = _address_of(store)
        for folder in store.iterdir():
            if folder.is_dir() and not folder.name.startswith("."):
                size_bytes = sum(_size_of(file) for file in folder.iterdir())
                yield CachedVersion(address, folder, size_bytes, folder.stat().st_mtime, is_held(folder))


def _address_of(store: Path) -> str:
    try:
        return (store / ADDRESS_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return store.name


def _size_of(file: Path) -> int:
    try:
        return file.lstat().st_size
    except FileNotFoundError:  # completed, or removed, meanwhile
        return 0
