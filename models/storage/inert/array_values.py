"""NumPy's scalars and arrays, of the bytes in a pickle: Python numbers, tensors, and lists where there are none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy
import torch

from statehouse.models.storage.inert.plain_values import as_bytes, quietly
from statehouse.models.storage.inert.record import Named, Record

MAX_DIMENSIONS = 32
MAX_ELEMENTS = 1_000_000_000  # of an array whose elements take no bytes, there are none
_NUMERIC = "biufc"  # kinds of dtype: truth values, integers, floats, complex numbers
_TEXT = "SU"
_BYTE_ORDERS = "<>|="

_CORES = ("numpy.core", "numpy._core")
DTYPE = "numpy.dtype"


def _kind(dtype: object) -> str | None:
    """Return the code of a dtype that a pickle describes, with its byte order: "<f4"; None where it is another."""
    if not isinstance(dtype, Record) or not dtype.arguments or not isinstance(dtype.arguments[0], str):
        return None
    code = dtype.arguments[0]
    order = dtype.state[1] if isinstance(dtype.state, tuple) and len(dtype.state) > 1 else "|"
    if code[:1] not in _NUMERIC + _TEXT + "O" or not (code[1:].isdigit() or code == "O") or len(code) > 12:
        return None
    return f"{order}{code}" if isinstance(order, str) and order in _BYTE_ORDERS else None


def _bytes_as(kind: str, content: object, shape: tuple[int, ...], order: str) -> numpy.ndarray | None:
    """Return the array that lies in `content`, in memory of its own; None where the two do not fit."""
    data, dtype = as_bytes(content), numpy.dtype(kind)
    if data is None or dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize != len(data):
        return None
    array = numpy.frombuffer(bytearray(data), dtype) if data else numpy.empty(0, dtype)
    return array.astype(dtype.newbyteorder("="), copy=False).reshape(
        shape, order="F" if order == "F" else "C"
    )


def _shape(value: object) -> tuple[int, ...] | None:
    if type(value) is int:
        value = (value,)
    if not isinstance(value, tuple) or len(value) > MAX_DIMENSIONS:
        return None
    return value if all(type(size) is int and 0 <= size <= MAX_ELEMENTS for size in value) else None


def _rebuilt(kind: str, content: object, shape: tuple[int, ...], order: str) -> object:
    """Return a tensor where torch has the dtype, else lists of the values."""
    if kind[1] == "O":
        return _as_lists(content, shape)
    array = _bytes_as(kind, content, shape, order)
    if array is None:
        return None
    if kind[1] in _TEXT:
        return array.tolist()
    try:
        return torch.from_numpy(array)
    except TypeError:  # float128
        return None


def _as_lists(content: object, shape: tuple[int, ...]) -> object:
    """Return the objects of an array as lists in lists; there are as many of them as the shape says."""
    if not isinstance(content, list) or math.prod(shape) != len(content):
        return None
    if not content or len(shape) <= 1:
        return list(content)
    rows = len(content) // shape[0]
    return [_as_lists(content[at : at + rows], shape[1:]) for at in range(0, len(content), rows)]


def _scalar(dtype: object, content: object) -> object:
    kind = _kind(dtype)
    if kind is None:
        return None
    if kind[1] == "O":
        return content
    array = _bytes_as(kind, content, (), "C")
    value = None if array is None else array.item()
    return value if isinstance(value, bool | int | float | complex | str | bytes) else None


def _from_buffer(content: object, dtype: object, shape: object, order: object) -> object:
    """Return an array of protocol 5, whose bytes are in the pickle."""
    kind, sizes = _kind(dtype), _shape(shape)
    return None if kind is None or sizes is None else _rebuilt(kind, content, sizes, str(order))


def finish_array(record: Record) -> object:
    """Return what an array is with its state: version, shape, dtype, whether it is in Fortran's order, its bytes."""
    state = record.state
    if not isinstance(state, tuple) or len(state) != 5:
        return None
    if not record.arguments or not _is_of_numpy(record.arguments[0]):
        return None
    _, shape, dtype, is_fortran, content = state
    return quietly(_from_buffer)((content, dtype, shape, "F" if is_fortran else "C"))


def _is_of_numpy(subtype: object) -> bool:
    return isinstance(subtype, Named) and subtype.name in ("numpy.ndarray", "numpy.matrix", "numpy.memmap")


def dtype_name(record: Record) -> str | None:
    """Return the name of a dtype that is a value of its own: "float32"; None where it is none that we know."""
    kind = _kind(record) if record.name == DTYPE else None
    return None if kind is None else numpy.dtype(kind).name


REBUILD: dict[str, Callable[[tuple[object, ...]], object]] = {
    f"{core}.{name}": quietly(rebuild)
    for core in _CORES
    for name, rebuild in (("multiarray.scalar", _scalar), ("numeric._frombuffer", _from_buffer))
}
FINISH: dict[str, Callable[[Record], object]] = {
    f"{core}.multiarray._reconstruct": finish_array for core in _CORES
}
