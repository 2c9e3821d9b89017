"""Checkpoint files on disk: which container a path names, and writing that cannot be interrupted half-way."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from statehouse.models.errors import CheckpointNotFoundError, CheckpointUnreadableError

Container = Literal["pt", "safetensors"]

_CONTAINERS: dict[str, Container] = {
    ".pt": "pt",
    ".pth": "pt",
    ".ckpt": "pt",
    ".bin": "pt",
    ".safetensors": "safetensors",
}
_LOOK_ALIKES = {
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; run `git lfs pull`",
    b"<": "a web page or XML; download the file itself",
    b"\x93NUMPY": "a NumPy array; a checkpoint is what torch.save or safetensors writes",
    b"\x89HDF": "an HDF5 (Keras) file; expected PyTorch",
}
ZIP_MAGIC = b"PK\x03\x04"
# The number that torch.save began with before torch 1.6, as protocols from 2 on and the first two write it.
_LEGACY_NUMBER, _LEGACY_LINE = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"L119547037146038801333356L\n."
_LEGACY_WITHIN = 32  # bytes: protocol and frame come before
LEGACY_BYTES = 64  # of the beginning, to recognise one
_PICKLE_MAGIC = b"\x80"
# An ONNX file is a message of protobuf: its version first, then who made it, or the graph itself.
_ONNX_VERSION, _ONNX_NEXT = b"\x08", (b"\x12", b"\x1a", b"\x22", b":", b"B")
_EXPECTED = "what torch.save or safetensors writes"


def container_of(path: Path) -> Container:
    """Return the container that the suffix of `path` names; raises CheckpointUnreadableError for others."""
    container = _CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise CheckpointUnreadableError(
            f"{path}: suffix {path.suffix!r} names no checkpoint; expected one of {', '.join(_CONTAINERS)}"
        )
    return container


def is_checkpoint_file(path: Path) -> bool:
    """Whether the suffix of `path` names a container."""
    return path.suffix.lower() in _CONTAINERS


def recognise_container(path: Path) -> Container:
    """Return the container of the file at `path`, by its first bytes, whatever its suffix.

    Raises:
        CheckpointNotFoundError: there is no file.
        CheckpointUnreadableError: the file is empty, or something else.
    """
    if not path.exists():
        raise CheckpointNotFoundError(f"{path}: no such file; expected a checkpoint")
    if not path.is_file():
        raise CheckpointUnreadableError(f"{path}: is not a regular file; expected a checkpoint file")
    start = _first_bytes(path)
    if start.startswith(ZIP_MAGIC) or begins_legacy(start):
        return "pt"
    if start[8:9] == b"{":
        return "safetensors"
    raise CheckpointUnreadableError(f"{path}: is {_other_problem(start)}")


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise CheckpointUnreadableError(f"{path}: cannot be read: {error.strerror}") from error


def begins_legacy(start: bytes) -> bool:
    """Whether a file that begins with these bytes is one of torch.save's before torch 1.6, of any protocol."""
    if start.startswith(_PICKLE_MAGIC):
        return _LEGACY_NUMBER in start[:_LEGACY_WITHIN]
    return start.startswith(_LEGACY_LINE)


def _other_problem(start: bytes) -> str:
    if not start:
        return f"empty; expected {_EXPECTED}"
    if start.startswith(_PICKLE_MAGIC):
        return (
            f"a bare pickle, which torch.save did not write; expected {_EXPECTED}: torch.save(object, path)"
        )
    if start[:1] == _ONNX_VERSION and start[2:3] in _ONNX_NEXT:
        return (
            "an ONNX graph; save the state_dict of the module that it was exported from: torch.save(…, path)"
        )
    for magic, meaning in _LOOK_ALIKES.items():
        if start.startswith(magic):
            return meaning
    return f"no checkpoint: it starts with {start[:8]!r}; expected {_EXPECTED}"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`, and put it in the place of `path` once it is whole and on disk.

    On any exception `path` stays as it was and the sibling is removed. Missing folders are created. The
    permissions are those of any new file, whatever the writer gave it: safetensors writes for the owner alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sibling = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        sibling.touch(exist_ok=False)
        mode = stat.S_IMODE(sibling.stat().st_mode)
        yield sibling
        sibling.chmod(mode)
        _sync(sibling)
        sibling.replace(path)
        _sync(path.parent)
    finally:
        sibling.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
