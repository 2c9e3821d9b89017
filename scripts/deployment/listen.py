"""Where the servers listen and who may come in: the parts ``listen`` and ``access`` of ``deployment.yaml``.

Only the front may face other machines, and only with TLS and keys. Anything else is refused when the file is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from statehouse.scripts.deployment.section import Section
from statehouse.scripts.machine import is_loopback

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
LINE_TO_ADD = "access: {certificate: server.pem, keys: true}"


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` (``[::1]:8080`` for IPv6); ValueError when it is not one."""
    found = _ADDRESS.fullmatch(address)
    if not found or int(found[2]) > 65535:
        raise ValueError(f"{address!r} is not an address; expected HOST:PORT, like '127.0.0.1:8080'")
    return found[1].strip("[]"), int(found[2])


def _valid_address(address: str) -> str:
    split_address(address)
    return address


Address = Annotated[str, AfterValidator(_valid_address)]


class Listen(Section):
    """Where the servers listen, ``host:port``; port 0 means any that is free."""

    front: Address = "127.0.0.1:8080"
    reader: Address = "127.0.0.1:8090"
    grpc: Address = "127.0.0.1:7070"

    @model_validator(mode="after")
    def _addresses_differ(self) -> Self:
        fixed = [
            address for address in (self.front, self.reader, self.grpc) if split_address(address)[1] != 0
        ]
        if len(set(fixed)) != len(fixed):
            raise ValueError("front, reader and grpc must listen on different addresses")
        return self


class Access(Section):
    """What the front asks of clients: TLS with this certificate, a key in each request.

    Paths are seen from the deployment file. ``private_key`` is needed where it is not in the certificate's file.
    """

    certificate: str | None = Field(default=None, min_length=1)
    private_key: str | None = Field(default=None, min_length=1)
    keys: bool = False
    # Open at once from one address, where keys are asked for: a further one is closed before anything is read from it.
    connections_per_address: int = Field(default=512, ge=1, le=4096)

    @model_validator(mode="after")
    def _a_private_key_has_its_certificate(self) -> Self:
        if self.private_key and not self.certificate:
            raise ValueError("private_key goes with a certificate, and there is none")
        return self


def exposed(listen: Listen, access: Access) -> Iterator[str]:
    """Yield what would be open to other machines and must not be, each with what to do."""
    front, reader, grpc = (split_address(each)[0] for each in (listen.front, listen.reader, listen.grpc))
    if not is_loopback(front) and not (access.certificate and access.keys):
        yield (
            f"other machines can reach listen.front, {listen.front}: that needs TLS and keys. Listen on 127.0.0.1, or "
            f"add the line `{LINE_TO_ADD}`, and a key for each client: `statehouse key add CLIENT`. server.pem is the "
            "certificate's chain and its private key, readable by this user alone (docs/security.md)"
        )
    if not is_loopback(reader):
        yield (
            f"other machines can reach listen.reader, {listen.reader}, which has neither TLS nor keys. Listen on "
            "127.0.0.1: through the front /metrics and /ready are for clients that were added with "
            "`statehouse key add CLIENT --metrics`"
        )
    if not is_loopback(grpc):
        yield (
            f"other machines can reach listen.grpc, {listen.grpc}, which has no TLS. Listen on 127.0.0.1: other "
            "machines ask the front, over HTTP"
        )
