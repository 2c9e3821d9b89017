"""The model store: published versions, in a folder of this machine or in object storage."""

from pathlib import Path

from statehouse.scripts.errors import StoreAddressError
from statehouse.scripts.store.address import check_address, is_remote
from statehouse.scripts.store.base import ModelStore, Tell, tell_nobody
from statehouse.scripts.store.folder import sha256_of
from statehouse.scripts.store.local import LocalStore
from statehouse.scripts.store.version import NamedVersion, PublishedVersion, StoreListing

__all__ = [
    "LocalStore",
    "ModelStore",
    "NamedVersion",
    "PublishedVersion",
    "StoreListing",
    "Tell",
    "open_store",
    "sha256_of",
    "tell_nobody",
]


def open_store(address: str, *, max_cache_bytes: int) -> ModelStore:
    """Return the store at ``address``, a folder's path or an address of object storage. Nothing is asked of it yet.

    Raises StoreAddressError when no store can be there.
    """
    try:
        address = check_address(address)
    except ValueError as error:
        raise StoreAddressError(f"{error}.") from error
    if not is_remote(address):
        return LocalStore(Path(address))
    from statehouse.scripts.store.cache import (  # late, as all that only object storage needs
        Cache,
        default_folder,
    )
    from statehouse.scripts.store.remote import RemoteStore

    return RemoteStore(address, Cache(default_folder(), max_cache_bytes))
