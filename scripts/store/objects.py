"""What fsspec and the stores behind it do, known here alone: one store's objects, each by its key.

Credentials and endpoint come by each protocol's own standard chain; nothing here reads, keeps or says them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, TypeVar
from uuid import uuid4

from statehouse.models.extras import how_to_install
from statehouse.scripts.errors import StoreAddressError, StoreAwayError, StoreError, StoreRefusedError
from statehouse.scripts.store.address import READ_ONLY_PROTOCOLS, protocol_of
from statehouse.scripts.store.object_errors import code_of, our_error, status_of

CONNECT_SECONDS = 5
STALL_SECONDS = 15  # without a byte, a connection counts as lost
ATTEMPTS = 4
PAUSE_SECONDS = 0.5
PART_BYTES = 8 << 20
EXISTS_ALREADY = 412

Answer = TypeVar("Answer")


class ObjectReader:
    """One object, opened; where it is replaced meanwhile reading raises ChangedObjectError, if the store can tell."""

    def __init__(self, opened: Any, told: Callable[[], AbstractContextManager[None]]) -> None:  # noqa: ANN401
        self._opened = opened
        self._told = told
        self.size_bytes = int(opened.size or 0)

    def read(self, first: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``first`` on; StoreAwayError when the connection is lost or stalls."""
        with self._told():
            self._opened.seek(first)
            return bytes(self._opened.read(count))

    def close(self) -> None:
        """Let go of it."""
        self._opened.close()


class Objects:
    """The objects below one address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def read(self, key: str, max_bytes: int) -> bytes | None:
        """Return an object's content, None when there is none; one of more than ``max_bytes`` is cut off behind."""

        def read() -> bytes | None:
            try:
                return bytes(self._files.cat_file(self._path(key), start=0, end=max_bytes + 1))
            except FileNotFoundError as error:
                self._refuse_without_bucket(error)
                return None

        return self._ask(f"read {key}", read)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return every object's key below ``folder``, with its size in bytes."""

        def find() -> dict[str, int]:
            try:
                found = self._files.find(self._path(folder), detail=True)
            except FileNotFoundError:
                return {}
            inside = f"{self._path(folder)}/"  # some stores list an empty folder as an object of its own
            start = len(self._root) + 1
            return {name[start:]: about["size"] for name, about in found.items() if name.startswith(inside)}

        return self._ask(f"list {folder}", find)

    def folders(self) -> list[str]:
        """Return the names right below the address, where the store can list them."""

        def ls() -> list[str]:
            try:
                entries = self._files.ls(self._root, detail=False)
            except FileNotFoundError as error:
                self._refuse_without_bucket(error)
                return []
            return sorted({str(entry).rstrip("/").rpartition("/")[2] for entry in entries})

        return self._ask("list its versions", ls)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that is not there yet, and say whether it was not: the store decides, in one step."""

        def create() -> bool:
            try:
                self._files.pipe_file(self._path(key), content, mode="create")
            except FileExistsError:
                return False
            except Exception as error:
                if status_of(error) == EXISTS_ALREADY:
                    return False
                raise
            return True

        return self._ask(f"create {key}", create)

    def upload(self, file: str, key: str, watch: Any) -> None:  # noqa: ANN401 - fsspec's Callback, imported late
        """Write a file of this machine as an object, in parts where it is large; ``watch`` is told of the bytes."""
        options = {"chunksize": PART_BYTES} if protocol_of(self.address) == "s3" else {}

        def put() -> None:
            try:
                self._files.put_file(file, self._path(key), callback=watch, **options)
            except FileNotFoundError as error:
                self._refuse_without_bucket(error)
                raise StoreAwayError(f"{self.address} gave up the upload of {key}.") from error

        self._ask(f"write {key}", put)

    def open(self, key: str) -> ObjectReader:
        """Open an object to be read from any place.

        Raises FileNotFoundError where there is none, StoreAwayError; nothing is tried again here.
        """
        with self._told(f"read {key}"):
            opened = self._files.open(self._path(key), "rb", cache_type="none", block_size=PART_BYTES)
        return ObjectReader(opened, lambda: self._told(f"read {key}"))

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are gone already are no error."""

        def remove() -> None:
            for key in keys:
                try:
                    self._files.rm_file(self._path(key))
                except FileNotFoundError:
                    continue

        self._ask("remove what nobody refers to", remove)

    def remove_unfinished(self, folder: str) -> None:
        """Remove what interrupted uploads in parts have left below ``folder``, where the store knows of such."""
        if protocol_of(self.address) == "s3":
            self._ask("remove unfinished uploads", lambda: self._abort_uploads(folder))

    def _abort_uploads(self, folder: str) -> None:
        bucket, _, prefix = self._path(folder).partition("/")
        found = self._files.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
        for upload in found.get("Uploads", ()):
            about = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
            self._files.call_s3("abort_multipart_upload", Bucket=bucket, **about)

    def refuse_unwritable(self) -> None:
        """Raise StoreRefusedError where nothing can be written, or only without the condition of `create`."""
        if protocol_of(self.address) in READ_ONLY_PROTOCOLS:
            raise StoreRefusedError(f"{self.address} can only be read. Publish to where it comes from.")
        key = f".condition-{uuid4().hex}"
        kept = self.create(key, b"first")
        try:
            kept = kept and not self.create(key, b"second")
        finally:
            self.remove([key])
        if not kept:
            raise StoreRefusedError(
                f"{self.address} writes over what is there although it is asked not to (If-None-Match: *): two "
                "publishes at once could change a version. Use a store that keeps this condition."
            )

    # -- fsspec

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    @cached_property
    def _opened_files(self) -> tuple[Any, str]:
        import fsspec

        protocol = protocol_of(self.address)
        try:
            files, root = fsspec.core.url_to_fs(self.address, use_listings_cache=False, **_options(protocol))
        except ImportError as error:
            extra = how_to_install("s3") if protocol in ("s3", *READ_ONLY_PROTOCOLS) else str(error)
            raise StoreAddressError(f"What reads {protocol}:// is not installed: {extra}") from error
        except ValueError as error:
            raise StoreAddressError(f"{self.address} cannot be a model store: {error}") from error
        files.retries = 2  # s3fs's own, immediate; what waits longer is tried again in `_ask`
        return files, str(root).rstrip("/")

    @property
    def _files(self) -> Any:  # noqa: ANN401 - fsspec has no types
        return self._opened_files[0]

    @property
    def _root(self) -> str:
        return self._opened_files[1]

    def _refuse_without_bucket(self, error: FileNotFoundError) -> None:
        if code_of(error) == "NoSuchBucket":
            raise StoreRefusedError(f"{self.address}: there is no such bucket. Make it first.") from error

    def _ask(self, what: str, ask: Callable[[], Answer]) -> Answer:
        """Ask the store, again after a pause where it does not answer."""
        for attempt in range(ATTEMPTS):
            try:
                with self._told(what):
                    return ask()
            except StoreAwayError:
                if attempt == ATTEMPTS - 1:
                    raise
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise AssertionError

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say in our words why the store did not do what it was asked."""
        try:
            yield
        except (StoreError, FileNotFoundError):
            raise
        except Exception as error:
            raise our_error(self.address, what, error) from error


def _options(protocol: str) -> dict[str, Any]:
    if protocol == "s3":
        return {
            "config_kwargs": {
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": STALL_SECONDS,
                "retries": {"total_max_attempts": 1},
            }
        }
    if protocol in READ_ONLY_PROTOCOLS:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=STALL_SECONDS)
        return {"client_kwargs": {"timeout": timeout}}
    return {}
