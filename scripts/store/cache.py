"""What was fetched, on this machine: files by their SHA-256, and versions that are made of them by hard links.

::

    files/SHA256           one file's content, checked before it got this name
    files/SHA256.part      what has come of one so far
    stores/STORE/NAME-VERSION/    a version as workers read it; STORE stands for an address
    drafts/                versions that are being published

Several servers and commands may share it. Who takes part in it holds ``lock`` shared, who removes anything holds
it alone; a version in use is held by a lock on its folder. The kernel lets go of both when a process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from statehouse.scripts.durable import write_durably
from statehouse.scripts.errors import CacheError, TransferStoppedError
from statehouse.scripts.store.base import Tell
from statehouse.scripts.store.draft import PUBLISHED_FILE_MODE
from statehouse.scripts.store.folder import sha256_of
from statehouse.scripts.store.manifest import FileRecord
from statehouse.scripts.store.partial_file import Part

FOLDER_VARIABLE = "STATEHOUSE_CACHE"
ADDRESS_FILE = "address.txt"
WAIT_SECONDS = 0.1


def default_folder() -> Path:
    """Return where the cache is unless ``STATEHOUSE_CACHE`` names another place."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(base, "statehouse")).absolute()


@dataclass(frozen=True)
class Cache:
    """One cache; ``max_bytes`` is what it may keep of what nobody uses."""

    folder: Path
    max_bytes: int

    @property
    def files(self) -> Path:
        """Where files are, by their SHA-256."""
        return self.folder / "files"

    @property
    def stores(self) -> Path:
        """Where versions are, a folder for each store."""
        return self.folder / "stores"

    @property
    def drafts(self) -> Path:
        """Where versions are before they are published."""
        return self.folder / "drafts"

    def store_folder(self, address: str) -> Path:
        """Return where the versions of a store are. The same address at another endpoint is another store."""
        s3_endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        endpoint = s3_endpoint if address.startswith("s3:") else ""
        return self.stores / hashlib.sha256(f"{endpoint}\n{address}".encode()).hexdigest()[:16]

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Take part in the cache, which is made if it is absent: nothing is removed from it meanwhile."""
        with self._lock(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the cache alone, if nobody takes part in it now; yields whether that is so."""
        try:
            with self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False

    @contextmanager
    def _lock(self, how: int) -> Iterator[None]:
        with cache_errors(self.folder):
            for folder in (self.folder, self.files, self.stores, self.drafts):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    # -- files

    def has(self, record: FileRecord) -> bool:
        """Whether a file is there."""
        return (self.files / record.sha256).is_file()

    @contextmanager
    def part(self, record: FileRecord, tell: Tell, stop: threading.Event) -> Iterator[Part | None]:
        """Yield what there is of a file, to be completed; None when it is complete already.

        Waits while another process fetches the same.
        """
        path = self.files / f"{record.sha256}.part"
        with cache_errors(self.folder):
            descriptor = self._own_part(path, record, tell, stop)
            if descriptor is None:
                yield None
                return
            try:
                part = Part(path, descriptor, self.files / record.sha256)
                if part.size_bytes > record.size_bytes:
                    part.empty()
                yield part
            finally:
                os.close(descriptor)

    def _own_part(self, path: Path, record: FileRecord, tell: Tell, stop: threading.Event) -> int | None:
        told = False
        while not self.has(record):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if not told:
                    tell("another process fetches the same; waiting for it")
                    told = True
                if stop.wait(WAIT_SECONDS):
                    raise TransferStoppedError("Waiting for another's transfer was stopped.") from None
                continue
            if _is_at(descriptor, path) and not self.has(record):
                return descriptor
            os.close(descriptor)  # another completed it meanwhile
        return None

    def drop(self, folder: Path) -> None:
        """Remove a version that is not as it was published any more, and what is wrong of its files."""
        with cache_errors(self.folder):
            for file in folder.iterdir():
                digest = next((each for each in self._links_of(file)), None)
                if digest is not None and sha256_of(file) != digest.name:
                    digest.unlink()
            shutil.rmtree(folder)

    def _links_of(self, file: Path) -> Iterator[Path]:
        inode = file.lstat().st_ino
        return (each for each in self.files.iterdir() if each.lstat().st_ino == inode)

    def adopt(self, folder: Path) -> None:
        """Take the files of a folder, which were checked, for files of the cache."""
        with cache_errors(self.folder):
            for file in folder.iterdir():
                complete = self.files / sha256_of(file)
                if not complete.exists():
                    file.chmod(PUBLISHED_FILE_MODE)
                    file.rename(complete)

    # -- versions

    def assemble(self, address: str, folder_name: str, files: Mapping[str, FileRecord]) -> Path:
        """Make a version's folder of files that are all there, in one step; another process may have been first."""
        with cache_errors(self.folder):
            store = self.store_folder(address)
            store.mkdir(mode=0o700, exist_ok=True)
            if not (store / ADDRESS_FILE).exists():
                write_durably(store / ADDRESS_FILE, f"{address}\n".encode())
            beside = Path(tempfile.mkdtemp(prefix=f".{folder_name}-", dir=store))
            try:
                for name, record in files.items():
                    (beside / name).hardlink_to(self.files / record.sha256)
                target = store / folder_name
                if not target.exists():
                    beside.rename(target)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            return target

    @contextmanager
    def draft(self, folder_name: str) -> Iterator[Path]:
        """Yield an empty folder for a version that is to be published; it is gone afterwards."""
        with cache_errors(self.folder):
            draft = Path(tempfile.mkdtemp(prefix=f"{folder_name}-", dir=self.drafts))
        held = hold(draft)
        try:
            yield draft
        finally:
            os.close(held)
            shutil.rmtree(draft, ignore_errors=True)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def hold(folder: Path) -> int:
    """Hold a folder, so that nobody removes it; return the descriptor that does so until it is closed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def cache_errors(folder: Path) -> Iterator[None]:
    """Say what to do where the cache cannot be written."""
    try:
        yield
    except (BlockingIOError, FileNotFoundError):
        raise
    except OSError as error:
        raise CacheError(
            f"The cache {folder} cannot be used: {error.strerror or error} ({error.filename or folder}). Make room "
            f"(`statehouse cache --prune`), or name another folder in {FOLDER_VARIABLE}."
        ) from error
