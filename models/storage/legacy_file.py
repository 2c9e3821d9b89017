"""What torch.save wrote before torch 1.6, as most published weights of that time still are.

Five pickles in a row (a magic number, a protocol, the machine, the object, the keys of its storages), then for each
key the number of its elements and their bytes. The pickle of the object is read twice: first to learn how large the
storages are said to be, then, once the file is known to be as large as all of them, to make it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from pathlib import Path

import torch

from statehouse.models.storage.files import LEGACY_BYTES, begins_legacy
from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.inert.reading import reader_of
from statehouse.models.storage.inert.record import Named, printable
from statehouse.models.storage.inert.storages import Identity, Place, Storages, parse_identity
from statehouse.models.storage.inert.unpickler import Unpickler

_LENGTH_BYTES = 8  # of the number of elements before each storage
_MODULE = ("module", b"module")  # a class, with its source as text
_MODULE_AS_TEXT = re.compile(r"\('module', <class '(?P<name>[\w.<>]+)'>, ")  # with protocol 0


def is_legacy(path: Path) -> bool:
    """Whether the file at `path` begins as torch.save began files before torch 1.6."""
    with path.open("rb") as file:
        return begins_legacy(file.read(LEGACY_BYTES))


def read_legacy(path: Path, device: torch.device) -> object:
    """Return what the file at `path` holds; on a CPU its tensors are the mapped file where they are aligned in it.

    Raises DamagedPickleError where it declares other sizes than it has, and as `reader_of` says.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        said: dict[str, Identity] = {}
        skim = Unpickler(data, persistent=_or_class(lambda identity: _note(said, parse_identity(identity))))
        for _ in range(3):
            skim.load()
        start = skim.position
        skim.load()
        keys = skim.load()
        storages = Storages(path, _places(data, skim.position, keys, said), device)
        reader = reader_of(data, storages, start)
        reader.persistent = _or_class(storages.typed)
        return reader.load()


def _or_class(storage: Callable[[object], object]) -> Callable[[object], object]:
    """Return the class where a persistent id means one, with the source that it had, else what `storage` returns."""

    def persistent(identity: object) -> object:
        if isinstance(identity, tuple) and len(identity) > 1 and identity[0] in _MODULE:
            return identity[1]
        as_text = _MODULE_AS_TEXT.match(identity) if isinstance(identity, str) else None
        if as_text is not None:
            return Named(printable(as_text["name"]))
        return storage(identity)

    return persistent


def _note(said: dict[str, Identity], identity: Identity) -> None:
    known = said.setdefault(identity.key, identity)
    if known.size != identity.size:
        raise DamagedPickleError(f"storage {identity.key[:40]!a} has two sizes")


def _places(data: mmap.mmap, position: int, keys: object, said: dict[str, Identity]) -> dict[str, Place]:
    """Go from storage to storage: each must be as large as it was said to be, and the file as long as all."""
    is_known = isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)
    if not isinstance(keys, list) or not is_known or sorted(map(str, keys)) != sorted(said):
        raise DamagedPickleError("it lists other storages than its tensors use")
    places: dict[str, Place] = {}
    for key in map(str, keys):
        elements = int.from_bytes(data[position : position + _LENGTH_BYTES], "little")
        if elements != said[key].elements:
            raise DamagedPickleError(
                f"storage {key[:40]!a} has {elements:,} elements; said were {said[key].elements:,}"
            )
        position += _LENGTH_BYTES
        places[key] = Place(position, said[key].size)
        position += said[key].size
    if position != len(data):
        raise DamagedPickleError(f"{len(data):,} bytes; its storages end at {position:,}")
    return places
