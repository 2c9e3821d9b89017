"""The model store: published versions, in a folder of this machine or in object storage."""

from pathlib import Path

from scripts.errors import StoreAddressError
from scripts.store.address import check_address, is_remote
from scripts.store.folder import sha256_of
from scripts.store.local import LocalStore
from scripts.store.shape import ModelStore, Tell, tell_nobody
from scripts.store.version import FileIdentity, NamedVersion, PublishedVersion, StoreListing

__all__ = [
    "FileIdentity",
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
    from scripts.store.cache import Cache, default_folder  # late, as all that only object storage needs
    from scripts.store.remote import RemoteStore

    return RemoteStore(address, Cache(default_folder(), max_cache_bytes))
