"""The front's certificate: checked before HAProxy sees it, copied into the private folder, watched for a renewal."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Sequence
from pathlib import Path

from statehouse.handlers.worker.settings import FileIdentity
from statehouse.scripts.errors import CertificateError

Look = tuple[FileIdentity, ...]


class Certificate:
    """The files of one certificate with its private key, and the ``copy`` that the front reads."""

    def __init__(self, files: Sequence[Path], copy: Path) -> None:
        self._files = tuple(files)
        self._copy = copy
        self._seen: Look | None = None

    def take(self) -> str:
        """Check what the files hold now, copy it, and return it: PEM.

        Raises CertificateError when no server could use it; then the copy is as it was.
        """
        self._seen = self._look()
        pem = "\n".join(_read(file) for file in self._files)
        beside = self._copy.with_suffix(".new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(pem)
        try:
            _check(beside, self._told)
        except CertificateError:
            beside.unlink()
            raise
        beside.replace(self._copy)
        return pem

    def has_changed(self) -> bool:
        """Whether the files are others than those that were taken, or refused, last."""
        return self._look() not in (self._seen, None)

    @property
    def _told(self) -> str:
        return " and ".join(map(str, self._files))

    def _look(self) -> Look | None:
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return None
        return tuple(map(FileIdentity.of, found))


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="ascii")
        mode = stat.S_IMODE(file.stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        raise CertificateError(f"The certificate {file} cannot be read: {error}") from error
    if "PRIVATE KEY" in text and mode & 0o007:
        raise CertificateError(
            f"Everybody may read the private key in {file} (mode {mode:o}): chmod 600 {file}"
        )
    return text


def _check(pem: Path, told: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(pem, password=lambda: "")  # never a question at the terminal
    except (ssl.SSLError, OSError, ValueError) as error:
        raise CertificateError(
            f"{told}: no certificate with its unencrypted private key, in PEM, the server's own certificate "
            f"first ({error})."
        ) from error
