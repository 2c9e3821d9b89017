"""Tensors of the Open Inference Protocol: datatypes, data as JSON or bytes, and what a model requires."""

import struct
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statehouse.handlers.bodies.numbers import leaf_array, number_array, shorten, type_name
from statehouse.handlers.errors import InvalidInputError

DATATYPES = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
BYTES = "BYTES"
BFLOAT16 = "BF16"  # NumPy has none: read as float32, which holds all its values
_DATATYPE_NAMES = {dtype: name for name, dtype in DATATYPES.items()}


@dataclass(frozen=True, slots=True)
class InputTensor:
    """One tensor of a request. `data` is an array of `shape`, or for BYTES a flat list of text or bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | list[str] | list[bytes]


def read_tensor(
    name: str, datatype: str, shape: tuple[int, ...], data: object, binary: memoryview | None
) -> InputTensor:
    """The tensor from its JSON `data` or, where that is None, from its bytes.

    Raises InvalidInputError where datatype, shape and data do not fit each other.
    """
    if datatype not in (BYTES, BFLOAT16) and datatype not in DATATYPES:
        raise InvalidInputError(
            f"datatype {shorten(datatype)} is unknown; expected one of {', '.join(DATATYPES)}, {BFLOAT16}, {BYTES}."
        )
    if (binary is None) == (data is None):
        raise InvalidInputError(
            "expected either data, or binary_data_size and its bytes after the JSON document."
        )
    read = _json_data(data, datatype, shape) if binary is None else _binary_data(binary, datatype, shape)
    return InputTensor(name, datatype, shape, read)


def require_inputs(tensors: Mapping[str, InputTensor], declared: Sequence[dict[str, Any]]) -> list[Any]:
    """The data of the declared inputs, in their order.

    `declared` is metadata: name, datatype and shape, with -1 for the axis that counts rows.

    Raises InvalidInputError that names every missing, unknown or different input.
    """
    problems = unexpected_names(tensors, [each["name"] for each in declared])
    for each in declared:
        tensor = tensors.get(each["name"])
        if tensor is not None and (
            tensor.datatype != each["datatype"] or not _fits(tensor.shape, each["shape"])
        ):
            problems.append(
                f"input {each['name']!r} is {tensor.datatype} of {list(tensor.shape)}; expected "
                f"{each['datatype']} of {each['shape']}, where -1 is the number of rows."
            )
    if problems:
        raise InvalidInputError(" ".join(problems), errors=[{"detail": problem} for problem in problems])
    return [tensors[each["name"]].data for each in declared]


def unexpected_names(
    given: Iterable[str], declared: Sequence[str], *, optional: Container[str] = ()
) -> list[str]:
    """One sentence per input that is missing, but for `optional` ones, and per input that this model does not have."""
    problems = [
        f"input {name!r} is missing." for name in declared if name not in set(given) and name not in optional
    ]
    problems += [
        f"input {shorten(name)} is unknown; this model has {', '.join(declared)}."
        for name in given
        if name not in declared
    ]
    return problems


def _fits(shape: tuple[int, ...], declared: Sequence[int]) -> bool:
    return len(shape) == len(declared) and all(
        wanted in (-1, size) for size, wanted in zip(shape, declared, strict=True)
    )


def datatype_of(array: NDArray[Any]) -> str:
    """The protocol's name of the array's dtype; text is BYTES."""
    return _DATATYPE_NAMES.get(array.dtype, BYTES)


def _binary_data(binary: memoryview, datatype: str, shape: tuple[int, ...]) -> NDArray[Any] | list[bytes]:
    if datatype == BYTES:
        return read_bytes_elements(binary, prod(shape))
    dtype = np.dtype("<u2") if datatype == BFLOAT16 else DATATYPES[datatype]
    if len(binary) != prod(shape) * dtype.itemsize:
        raise InvalidInputError(
            f"{len(binary)} bytes of binary data; expected {prod(shape) * dtype.itemsize} for "
            f"{datatype} of the shape {list(shape)}."
        )
    numbers = np.frombuffer(binary, dtype).reshape(shape)
    return (numbers.astype("<u4") << 16).view("<f4") if datatype == BFLOAT16 else numbers


def _json_data(data: object, datatype: str, shape: tuple[int, ...]) -> NDArray[Any] | list[str]:
    if datatype != BYTES and isinstance(data, list) and data and isinstance(data[0], list):
        return number_array(data, shape, _held_in(datatype))
    while isinstance(data, list) and data and all(isinstance(part, list) for part in data):
        data = [element for part in data for element in part]
    if not isinstance(data, list) or len(data) != prod(shape):
        found = f"{len(data)} elements" if isinstance(data, list) else type_name(data)
        raise InvalidInputError(f"data is {found}; expected {prod(shape)} for the shape {list(shape)}.")
    if datatype != BYTES:
        return leaf_array(data, shape, _held_in(datatype))
    wrong = next((element for element in data if not isinstance(element, str)), None)
    if wrong is not None:
        raise InvalidInputError(f"{shorten(wrong)} is {type_name(wrong)}; expected text for {BYTES}.")
    return data


def _held_in(datatype: str) -> np.dtype[Any]:
    return DATATYPES["FP32" if datatype == BFLOAT16 else datatype]


LENGTH = struct.Struct("<I")


def read_bytes_elements(binary: memoryview, count: int) -> list[bytes]:
    """Exactly `count` elements; raises InvalidInputError where the lengths and the bytes disagree."""
    elements: list[bytes] = []
    offset = 0
    while offset < len(binary):
        end = offset + LENGTH.size
        if end <= len(binary):
            end += LENGTH.unpack_from(binary, offset)[0]
        if end > len(binary) or offset + LENGTH.size > len(binary):
            raise InvalidInputError(
                f"element {len(elements)} of the binary data ends at byte {end}, after the last byte "
                f"{len(binary)}; expected four bytes of length, then as many bytes."
            )
        elements.append(bytes(binary[offset + LENGTH.size : end]))
        offset = end
    if len(elements) != count:
        raise InvalidInputError(f"{len(elements)} elements of binary data; expected {count} by the shape.")
    return elements


def write_bytes_elements(elements: Iterable[str | bytes]) -> bytes:
    """The elements, texts as UTF-8, each preceded by its length."""
    encoded = [element.encode() if isinstance(element, str) else element for element in elements]
    return b"".join(LENGTH.pack(len(element)) + element for element in encoded)
