"""What torch.save wrote before torch 1.6, as most published weights of that time still are: checked before it is read.

Five pickles in a row (a magic number, a protocol, the machine, the object, the keys of its storages), then for each
key the number of its elements and their bytes. The pickles are unpickled here with nothing that they name, only to
learn how large the storages are said to be.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import torch

from statehouse.models.errors import CheckpointUnreadableError
from statehouse.models.storage.files import LEGACY_MAGIC
from statehouse.models.storage.torch_archive import MAX_PICKLE_BYTES, refuse_code

_LENGTH_BYTES = 8  # of the number of elements before each storage


class _Inert:
    """Stands for whatever a pickle makes; does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class _Storages(pickle.Unpickler):
    """Makes no object that a pickle names, and notes the size of each storage by its key."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.element_bytes: dict[str, int] = {}
        self.elements: dict[str, int] = {}

    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401 - a class or what stands for one
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return type(name, (_Inert,), {"module": module})

    def persistent_load(self, identity: Any, /) -> object:  # noqa: ANN401 - whatever the pickle says
        kind, storage, key, _device, elements, *_ = identity
        if kind != "storage" or not isinstance(elements, int) or elements < 0:
            raise ValueError(f"a storage is described as {identity!r}"[:200])
        known = self.elements.setdefault(str(key), elements)
        self.element_bytes[str(key)] = _element_bytes(storage.module, storage.__name__)
        if known != elements:
            raise ValueError(f"storage {key!r} has two sizes")
        return _Inert()


def _element_bytes(module: str, name: str) -> int:
    if name == "UntypedStorage":
        return 1
    dtype = getattr(getattr(torch, name, None), "_dtype", None)  # `dtype` warns that its class goes
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"{module}.{name} is no storage")
    return dtype.itemsize


def is_legacy(path: Path) -> bool:
    """Whether the file at `path` begins as torch.save began files before torch 1.6."""
    with path.open("rb") as file:
        return file.read(len(LEGACY_MAGIC)) == LEGACY_MAGIC


def check_legacy(path: Path) -> frozenset[int]:
    """Check the file at `path` without reading a tensor, and return the sizes of its storages in bytes.

    Raises:
        CheckpointUnreadableError: cut short or damaged, or it declares other sizes than it has.
        CheckpointUnsafeError: a pickle names any class or function of its own.
    """
    try:
        with path.open("rb") as file:
            return _check(path, file)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        EOFError,
        AttributeError,
        pickle.UnpicklingError,
    ) as error:
        raise CheckpointUnreadableError(
            f"{path}: is cut short or damaged ({type(error).__name__}: {error}); copy or download it again"
        ) from error


def _check(path: Path, file: BinaryIO) -> frozenset[int]:
    head = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    start = 0
    for _ in range(3):
        start = refuse_code(path, head, start)
    storages, ends = _Storages(head), [start]
    for _ in range(2):
        ends.append(refuse_code(path, head, ends[-1]))
    head.seek(ends[0])
    storages.load()
    head.seek(ends[1])
    keys = _Storages(head).load()
    if sorted(keys) != sorted(storages.elements):
        raise ValueError("it lists other storages than its tensors use")
    return _sizes_of(path, file, head.tell(), keys, storages)


def _sizes_of(
    path: Path, file: BinaryIO, position: int, keys: list[str], storages: _Storages
) -> frozenset[int]:
    """Go from storage to storage: each must be as large as it was said to be, and the file as long as all."""
    sizes: set[int] = set()
    for key in keys:
        file.seek(position)
        elements = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if elements != storages.elements[key]:
            raise ValueError(
                f"storage {key!r} has {elements:,} elements; said were {storages.elements[key]:,}"
            )
        sizes.add(elements * storages.element_bytes[key])
        position += _LENGTH_BYTES + elements * storages.element_bytes[key]
    if position != path.stat().st_size:
        raise ValueError(f"{path.stat().st_size:,} bytes; its storages end at {position:,}")
    return frozenset(sizes)
