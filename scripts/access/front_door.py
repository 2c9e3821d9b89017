"""By which door this user's commands come to the front: with a key as clients do, else by the private socket."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statehouse.scripts.errors import ArgumentError

KEY_VARIABLE = "STATEHOUSE_KEY"
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class FrontDoor:
    """The front's address, and what it asks for there: its ``certificate`` is the only one that is trusted."""

    url: str
    key: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    socket: Path | None = None

    @classmethod
    def of(cls, status: Mapping[str, Any], key: str | None) -> FrontDoor:
        """Return the door of a server whose status is known."""
        if status["own_socket"] and key is None:
            return cls("http://front", socket=Path(status["own_socket"]))
        certificate = status["certificate"]
        return cls(str(status["front"]), key=key, certificate=Path(certificate) if certificate else None)

    @property
    def headers(self) -> dict[str, str]:
        """What each request says to be let in."""
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def tls(self) -> ssl.SSLContext | None:
        """Return what to speak TLS with; None where it is plain."""
        if self.certificate is None:
            return None
        leaf = _CERTIFICATE.search(self.certificate.read_text())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Exactly this certificate, whatever name it is for: we ask at an address of this machine.
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=leaf[0] if leaf else "")
        return context


def key_from(file: Path | None) -> str | None:
    """Return the key in ``file``, else the one in STATEHOUSE_KEY, else None; never one of the command line.

    Raises ArgumentError when the file cannot be read or holds no key.
    """
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        key = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"--key-file {str(file)!r} cannot be read: {error}") from error
    if not key or not key.isprintable() or " " in key:
        raise ArgumentError(
            f"--key-file {str(file)!r} holds no key; expected one line, as `statehouse key add` prints it."
        )
    return key
