"""Where a model store may be: a folder, or an address of object storage, which never carries credentials."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from statehouse.scripts.machine import is_loopback

READ_ONLY_PROTOCOLS = frozenset({"http", "https"})
# These are folders of this machine, or live and die with one process.
_NO_STORES = frozenset({"file", "local", "memory"})
_PROTOCOL = re.compile(r"[a-z][a-z0-9+.-]*")
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]*@")


def is_remote(address: str) -> bool:
    """Whether an address is no folder of this machine."""
    return "://" in address or "::" in address


def without_credentials(text: str) -> str:
    """Return a text whose addresses say no user and no password."""
    return _CREDENTIALS.sub("", text)


def protocol_of(address: str) -> str:
    """Return ``s3`` of ``s3://bucket/prefix``."""
    return address.partition("://")[0]


def check_address(address: str) -> str:
    """Return a store's address without a slash at its end; ValueError says what it may not be, and no secret."""
    if not is_remote(address):
        return address
    split = urlsplit(address)
    problem = _problem_of(address, split)
    if problem:
        raise ValueError(f"{_harmless(split)!r} cannot be a model store: {problem}")
    return address.rstrip("/")


def _problem_of(address: str, split: SplitResult) -> str | None:
    if "@" in split.netloc or split.query or split.fragment:
        return (
            "an address with a user, a password or a query is written down in many places. Give it without; "
            "credentials come from the environment or your ~/.aws files, the endpoint from AWS_ENDPOINT_URL"
        )
    if "::" in protocol_of(address) or not _PROTOCOL.fullmatch(split.scheme):
        return "expected PROTOCOL://PLACE, like s3://bucket/prefix"
    if split.scheme in _NO_STORES:
        return "give a folder by its path"
    if not split.netloc:
        return "expected a bucket or a host, like s3://bucket/prefix"
    if ".." in split.path.split("/"):
        return "its path may not lead upwards"
    if split.scheme == "http" and not is_loopback(split.hostname or ""):
        return "over http:// anybody between could change what is served: use https://"
    return None


def _harmless(split: SplitResult) -> str:
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"
