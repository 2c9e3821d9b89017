"""Nested lists of numbers to NumPy arrays: exact shapes, real numbers, nothing silently changed."""

from collections.abc import Sequence
from itertools import chain
from math import prod
from reprlib import Repr
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statehouse.handlers.bodies.content import RAW_TYPE
from statehouse.handlers.errors import InvalidInputError, UnsupportedMediaError, WrongShapeError
from statehouse.handlers.request import Body

JSON_TYPE_NAMES = {str: "text", bool: "true/false", dict: "an object", list: "a list", type(None): "null"}
JSON_TYPE_NAMES |= {int: "a number", float: "a number"}
SHOWN_DIMENSIONS = 16

_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxstring, _SHORT.maxother = 2, 4, 4, 60, 60


def number_array(value: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Nested lists of exactly `shape` as an array of `dtype`.

    Raises InvalidInputError on another shape, on anything that is no number (text and booleans included), and
    on a number that `dtype` cannot hold.
    """
    return leaf_array(_flatten(value, shape), shape, dtype)


def leaf_array(leaves: Sequence[object], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers in row-major order as an array of `dtype` and `shape`; there must be exactly enough."""
    wanted = {bool} if dtype.kind == "b" else {int, float} if dtype.kind == "f" else {int}
    if not set(map(type, leaves)) <= wanted:
        index = next(i for i, leaf in enumerate(leaves) if type(leaf) not in wanted)
        raise InvalidInputError(
            f"{shorten(leaves[index])} at {_position(index, shape)} is {type_name(leaves[index])}; "
            f"expected {_expected(dtype)}."
        )
    try:
        array = np.array(leaves, dtype=np.float64 if dtype.kind == "f" else dtype)
    except OverflowError as error:
        bounds = np.iinfo(dtype)
        raise InvalidInputError(
            f"A number is out of range: {dtype.name} holds {bounds.min} to {bounds.max}."
        ) from error
    with np.errstate(over="ignore"):
        return require_finite(array.astype(dtype, copy=False).reshape(shape))


def require_finite(array: NDArray[Any]) -> NDArray[Any]:
    """`array` itself; raises InvalidInputError that says where the first NaN or infinity is."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        index = int(np.argmin(np.isfinite(array)))
        raise InvalidInputError(
            f"The number at {_position(index, array.shape)} is {array.ravel()[index]} as {array.dtype.name}; "
            "expected finite numbers within its range."
        )
    return array


def shape_of(value: object) -> str:
    """The shape of nested lists as far as their first elements show: `[2, 784]`."""
    sizes: list[str] = []
    while isinstance(value, list):
        if len(sizes) == SHOWN_DIMENSIONS:
            sizes.append("…")
            break
        sizes.append(str(len(value)))
        if not value:
            break
        value = value[0]
    return f"[{', '.join(sizes)}]" if sizes else type_name(value)


def type_name(value: object) -> str:
    """What JSON calls the value."""
    return JSON_TYPE_NAMES.get(type(value), type(value).__name__)


def shorten(value: object) -> str:
    """The value as text of bounded length, for an error message; however long or deep it is."""
    return _SHORT.repr(value)


def _flatten(value: object, shape: tuple[int, ...]) -> list[Any]:
    level: list[Any] = [value]
    for depth, size in enumerate(shape):
        if set(map(type, level)) != {list} or set(map(len, level)) != {size}:
            index = next(i for i, part in enumerate(level) if type(part) is not list or len(part) != size)
            raise _wrong_shape(value, shape, depth, index, level[index])
        level = list(chain.from_iterable(level))
    return level


def _wrong_shape(
    value: object, shape: tuple[int, ...], depth: int, index: int, part: object
) -> WrongShapeError:
    if depth == 0:
        return WrongShapeError(f"The shape is {shape_of(value)}; expected {list(shape)}.")
    found = f"a list of {len(part)}" if isinstance(part, list) else type_name(part)
    return WrongShapeError(
        f"{found} at {_position(index, shape[:depth])}; expected a list of {shape[depth]}, "
        f"so that the whole has the shape {list(shape)}."
    )


def _position(index: int, shape: tuple[int, ...]) -> str:
    if prod(shape) <= index:  # more leaves than the shape has room for
        return f"[{index}]"
    return "".join(f"[{int(i)}]" for i in np.unravel_index(index, shape)) or "the top"


def _expected(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "b":
        return "true or false"
    return "a number" if dtype.kind == "f" else "a whole number"


def raw_numbers(body: Body, content_type: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array of `shape` in `body`; raises where the type, the length or a number (NaN) is wrong."""
    if content_type != RAW_TYPE:
        raise UnsupportedMediaError(
            f"A body of {content_type} is not read here; expected application/json or {RAW_TYPE}."
        )
    expected = prod(shape) * dtype.itemsize
    if len(body) != expected:
        raise WrongShapeError(
            f"The body has {len(body)} bytes; expected {expected}: {dtype.name}, little-endian, of the shape "
            f"{list(shape)}. JSON needs Content-Type: application/json."
        )
    return require_finite(np.frombuffer(body, dtype.newbyteorder("<")).reshape(shape))
