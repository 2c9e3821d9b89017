"""The model store: published versions, in a folder of this machine or in object storage."""

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
    "sha256_of",
    "tell_nobody",
]
