"""Storages: the bytes of a file that a pickle refers to, mapped, as torch's storages."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.storage import TypedStorage, UntypedStorage

from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.inert.record import Named
from statehouse.models.storage.inert.views import UnsoundTensorError

# With protocol 0 an identity is text, as Python shows it.
_AS_TEXT = re.compile(
    r"\('storage', <class '(?P<name>[\w.]+)'>, '(?P<key>\w*)', '[\w:]*', (?P<elements>\d+)(?:, None)?\)"
)
_DTYPES: dict[str, torch.dtype] = torch.storage._storage_type_to_dtype_map()
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a pickle says of a storage: its key in the file, its dtype (None: bytes), how many elements it has."""

    key: str
    dtype: torch.dtype | None
    elements: int
    view: tuple[int, int] | None = (
        None  # in old files: from which element on, and how many, of another storage
    )

    @property
    def size(self) -> int:
        """In bytes."""
        return self.elements * (1 if self.dtype is None else self.dtype.itemsize)


def parse_identity(identity: object) -> Identity:
    """Return what a persistent id of torch.save says; raises DamagedPickleError for others."""
    if isinstance(identity, str):
        found = _AS_TEXT.fullmatch(identity)
        if found is None:
            raise DamagedPickleError("it refers to something outside itself, and not as torch.save does")
        return Identity(found["key"], _dtype(Named(found["name"])), int(found["elements"][:20]))
    if (
        not isinstance(identity, tuple)
        or not 5 <= len(identity) <= 6
        or identity[0] not in ("storage", b"storage")
    ):
        raise DamagedPickleError("it refers to something outside itself, and not as torch.save does")
    _, kind, key, _, elements, *view = identity
    if type(elements) is not int or not 0 <= elements < 2**60 or not isinstance(key, str | int):
        raise DamagedPickleError("the key of a storage, or the number of its elements, is none")
    return Identity(str(key), _dtype(kind), elements, _view(view))


def _dtype(kind: object) -> torch.dtype | None:
    module, _, name = kind.name.rpartition(".") if isinstance(kind, Named) else ("", "", "")
    if module in _STORAGE_MODULES and name in _DTYPES:
        return _DTYPES[name]
    if module in _STORAGE_MODULES and name == "UntypedStorage":
        return None
    raise DamagedPickleError(f"{kind.name if isinstance(kind, Named) else type(kind).__name__} is no storage")


def _view(view: list[object]) -> tuple[int, int] | None:
    if view in ([], [None]):
        return None
    match view[0]:
        case (_, int() as offset, int() as elements) if offset >= 0 and elements >= 0:
            return offset, elements
    raise DamagedPickleError("a storage is a view of another, and does not say which part")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a storage are in the file."""

    start: int
    size: int


class Storages:
    """Makes the storages of one file, each once; on a CPU they are the mapped file, not yet read."""

    def __init__(
        self, path: Path, places: Mapping[str, Place], device: torch.device, byte_order: str = "little"
    ) -> None:
        self.path = path
        self.places = places
        self.device = device
        self.is_swapped = byte_order != sys.byteorder
        self.made: dict[str, tuple[int, UntypedStorage]] = {}
        self._mapped: Any = None

    @property
    def stored_bytes(self) -> int:
        """Bytes of all storages."""
        return sum(place.size for place in self.places.values())

    def typed(self, identity: object) -> TypedStorage | UntypedStorage:
        """Return the storage that a persistent id means.

        Raises:
            DamagedPickleError: there is none of that key.
            UnsoundTensorError: the file has fewer bytes for it than it is said to have.
        """
        said = parse_identity(identity)
        storage = self._storage(said)
        if said.dtype is None:
            return storage
        if said.view is not None:
            start, stop = (sum(said.view[:end]) * said.dtype.itemsize for end in (1, 2))
            if stop > storage.nbytes():
                raise UnsoundTensorError(f"a view ends at byte {stop:,} of a storage of {storage.nbytes():,}")
            storage = storage[start:stop]
        return TypedStorage(wrap_storage=storage, dtype=said.dtype, _internal=True)  # type: ignore[no-untyped-call]

    def _storage(self, said: Identity) -> UntypedStorage:
        if said.key not in self.made:
            place = self.places.get(said.key)
            if place is None:
                raise DamagedPickleError(f"storage {said.key[:40]!a} is not in the file")
            if said.size > place.size:
                raise UnsoundTensorError(
                    f"storage {said.key[:40]!a} declares {said.size:,} bytes, which its record "
                    f"does not hold: it has {place.size:,}"
                )
            self.made[said.key] = said.size, self._read(place.start, said)
        size, storage = self.made[said.key]
        if size != said.size:
            raise DamagedPickleError(f"storage {said.key[:40]!a} has two sizes")
        return storage

    def _read(self, start: int, said: Identity) -> Any:  # noqa: ANN401
        if self.device.type == "meta" or not said.size:
            return UntypedStorage(said.size, device=self.device)  # type: ignore[no-untyped-call]
        storage: Any = self._file()[start : start + said.size]
        width = 1 if said.dtype is None else said.dtype.itemsize
        if (
            start % width or self.is_swapped
        ):  # of old files: processors want numbers at multiples of their size
            storage = storage.clone()
        if self.is_swapped and said.dtype is not None:
            storage.byteswap(said.dtype)
        return storage if self.device.type == "cpu" else storage.to(device=self.device)

    def _file(self) -> Any:  # noqa: ANN401 - torch's storages have no types
        if self._mapped is None:
            self._mapped = UntypedStorage.from_file(str(self.path), False, self.path.stat().st_size)
        return self._mapped


Persistent = Callable[[object], object]
