"""One row sent as raw numbers, little-endian, without any header."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.content import RAW_TYPE
from handlers.errors import UnsupportedMediaError, WrongShapeError
from handlers.numbers import require_finite
from handlers.request import Body


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
