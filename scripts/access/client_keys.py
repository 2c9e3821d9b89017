"""The clients' keys and limits: a file beside the deployment that only its owner may read, and that holds no key.

A key is 256 random bits, so nobody can try them all: its SHA-256 says nothing about it. Slow hashes are for passwords,
which people choose; here one would only cost time with each request.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from statehouse.scripts.deployment.journal import now_text
from statehouse.scripts.deployment.section import Section
from statehouse.scripts.durable import write_durably
from statehouse.scripts.errors import ClientKeysError
from statehouse.scripts.servers.haproxy import CONCURRENCY, KEYS, RATES, READERS
from statehouse.scripts.validation import problems_of

PREFIX = "sth_"  # so that a key that was lost is found in logs and repositories
ClientName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class ClientLimits(Section):
    """What one client may send."""

    requests_per_second: int = Field(default=100, ge=1, le=1_000_000)
    concurrent_requests: int = Field(default=32, ge=1, le=4096)
    metrics: bool = False  # may read /metrics and /ready through the front


class StoredKey(Section):
    """What is kept of one key: its SHA-256, and until when it is valid where another has taken its place."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    added: str
    until_unix_seconds: int | None = None

    @property
    def is_valid(self) -> bool:
        """Whether it lets its client in now."""
        return self.until_unix_seconds is None or time.time() < self.until_unix_seconds


class Client(Section):
    """One client: its keys, the newest last, and its limits."""

    keys: tuple[StoredKey, ...]
    limits: ClientLimits = ClientLimits()


class _Content(Section):
    clients: dict[ClientName, Client] = Field(default_factory=dict)


class ClientKeys:
    """The keys of one deployment, read once; every change is in the file before it is true."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._clients = _read(file)

    @property
    def clients(self) -> Mapping[str, Client]:
        """Every client by its name."""
        return self._clients

    def add(self, name: str, limits: ClientLimits) -> str:
        """Give a new client its key, and return that: it is kept nowhere. ClientKeysError for one that has one."""
        if name in self._clients:
            raise ClientKeysError(
                f"{name} has a key already: `statehouse key rotate {name}` gives it another, "
                f"`statehouse key limit {name}` other limits."
            )
        key, stored = _new_key()
        self._write(self._clients | {name: Client(keys=(stored,), limits=limits)})
        return key

    def rotate(self, name: str, *, keep_seconds: float) -> str:
        """Give a client another key, and return that; those before are valid for ``keep_seconds`` more at most."""
        client = self._find(name)
        until = int(time.time() + keep_seconds)
        kept = tuple(
            each.model_copy(update={"until_unix_seconds": min(each.until_unix_seconds or until, until)})
            for each in client.keys
            if each.is_valid
        )
        key, stored = _new_key()
        self._write(self._clients | {name: client.model_copy(update={"keys": (*kept, stored)})})
        return key

    def limit(self, name: str, limits: Mapping[str, int | bool]) -> None:
        """Change some of a client's limits; its keys stay."""
        client = self._find(name)
        changed = ClientLimits.model_validate(client.limits.model_dump() | dict(limits))
        self._write(self._clients | {name: client.model_copy(update={"limits": changed})})

    def revoke(self, name: str) -> None:
        """Let a client in no more."""
        self._find(name)
        self._write({other: client for other, client in self._clients.items() if other != name})

    def maps(self) -> dict[str, dict[str, str]]:
        """Return them as the front's maps have them."""
        clients = self._clients.items()
        return {
            KEYS: {
                key.sha256: _holder(name, key)
                for name, client in clients
                for key in client.keys
                if key.is_valid
            },
            RATES: {name: str(client.limits.requests_per_second) for name, client in clients},
            CONCURRENCY: {name: str(client.limits.concurrent_requests) for name, client in clients},
            READERS: {name: "yes" for name, client in clients if client.limits.metrics},
        }

    def _find(self, name: str) -> Client:
        if name not in self._clients:
            there_are = ", ".join(sorted(self._clients)) or "none"
            raise ClientKeysError(f"There is no client {name!r}; there are: {there_are}.")
        return self._clients[name]

    def _write(self, clients: dict[str, Client]) -> None:
        content = _Content(clients=clients)
        text = json.dumps(content.model_dump(mode="json", exclude_none=True), indent=1)
        try:
            write_durably(self._file, text.encode(), mode=0o600)
        except OSError as error:
            raise ClientKeysError(
                f"{self._file} cannot be written: {error.strerror or error}. Nothing was changed."
            ) from error
        self._clients = content.clients


def sha256_of(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _new_key() -> tuple[str, StoredKey]:
    key = PREFIX + secrets.token_urlsafe(32)
    return key, StoredKey(sha256=sha256_of(key), added=now_text())


def _holder(name: str, key: StoredKey) -> str:
    return name if key.until_unix_seconds is None else f"{name}|{key.until_unix_seconds}"


def _read(file: Path) -> dict[str, Client]:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ClientKeysError(f"{file} cannot be read: {error}") from error
    if mode & 0o077:
        raise ClientKeysError(f"Others may read or write {file} (mode {mode:o}): chmod 600 {file}")
    try:
        return _Content.model_validate_json(text).clients
    except ValidationError as error:
        told = "; ".join(problems_of(error))
        raise ClientKeysError(f"{file} is not what `statehouse key` wrote: {told} Restore it.") from error
