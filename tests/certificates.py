"""Certificates that tests sign themselves."""

from __future__ import annotations

from pathlib import Path

import trustme


def make_certificate(file: Path, *, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> trustme.CA:
    """Write a fresh certificate with its private key, and return who signed it."""
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    beside = file.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    beside.replace(file)
    return authority
