"""Kind `tensor` of inputs: numbers of a shape whose dimensions may be free."""

import io
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from statehouse.handlers.bodies.content import RAW_TYPE
from statehouse.handlers.bodies.inference_tensors import BFLOAT16, datatype_of
from statehouse.handlers.bodies.json_body import parse_json
from statehouse.handlers.bodies.numbers import number_array, require_finite, shape_of
from statehouse.handlers.bodies.schema import array_schema
from statehouse.handlers.errors import InvalidInputError, UnsupportedMediaError, WrongShapeError
from statehouse.handlers.images.decode import PixelBudget
from statehouse.handlers.kinds.contract import Filling, Json, NamedInput
from statehouse.handlers.request import JSON_TYPE, Body
from statehouse.models.tasks.input_kinds import TensorInput
from statehouse.models.tasks.kinds import Arrays

NPY_TYPE = "application/x-npy"
NPY_MAGIC = b"\x93NUMPY"
MOST_NUMBERS = 16 * 2**20  # of one input of one row
EXAMPLE_SIZES = (3, 8)


class NamedTensor(NamedInput):
    """Arrays are of the declared dtype; of bfloat16 they are float32, which holds all its values."""

    config: TensorInput
    media_types = (RAW_TYPE, NPY_TYPE)

    def __init__(self, name: str, config: TensorInput) -> None:
        super().__init__(name, config)
        self.dtype = np.dtype("float32" if config.dtype == "bfloat16" else config.dtype)
        self.torch_dtype: torch.dtype = getattr(torch, config.dtype)
        if config.pad is not None:
            self.fillings = {name: Filling(tuple(config.free), config.pad.value, config.pad.side == "left")}
            if config.pad.mask is not None:
                self.fillings[config.pad.mask] = Filling((0,), 0, config.pad.side == "left")

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its own, and those that say what is filling."""
        pad = self.config.pad
        return (self.name, *filter(None, (pad.mask, pad.length) if pad else ()))

    def from_json(self, value: object, budget: PixelBudget) -> Arrays:
        """From nested lists of the declared shape."""
        shape = self._fitting(_nested_shape(value))
        array = number_array(value, shape, self.dtype)
        if self.dtype.kind == "f":
            _refuse_lost(value, array)
        return self._checked(array)

    def from_bytes(self, body: Body, content_type: str, budget: PixelBudget) -> Arrays:
        """From JSON, from an .npy file, or from raw little-endian numbers."""
        if bytes(body[:6]) == NPY_MAGIC:
            return self._of_array(_read_npy(body))
        if content_type == JSON_TYPE or (not content_type and bytes(body[:64]).lstrip()[:1] == b"["):
            return self.from_json(parse_json(body), budget)
        if content_type not in ("", RAW_TYPE):
            raise UnsupportedMediaError(
                f"{content_type} is not read for the input {self.name!r}; expected application/json, {RAW_TYPE} or "
                f"{NPY_TYPE}."
            )
        return self._of_array(self._read_raw(body))

    def from_elements(self, elements: Mapping[str, Any], budget: PixelBudget) -> Arrays:
        """From a row of its tensor, which has its datatype."""
        return self._of_array(elements[""])

    def tensors(self) -> dict[str, tuple[str, list[int]]]:
        """One, of its own datatype."""
        datatype = BFLOAT16 if self.config.dtype == "bfloat16" else datatype_of(np.empty(0, self.dtype))
        return {"": (datatype, [size if isinstance(size, int) else -1 for size in self.config.shape])}

    def prepare(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """In its own dtype, whichever the module's is."""
        return batch | {self.name: batch[self.name].to(self.torch_dtype)}

    def schema(self) -> Json:
        """Nested lists; a free dimension has at least one entry."""
        schema = array_schema((), self.dtype)
        bounds = {"minimum": self.config.minimum, "maximum": self.config.maximum}
        schema |= {key: bound for key, bound in bounds.items() if bound is not None}
        for size in reversed(self.config.shape):
            bounds_of = {"minItems": size, "maxItems": size} if isinstance(size, int) else {"minItems": 1}
            schema = {"type": "array", "items": schema, **bounds_of}
        return schema

    def example(self, seed: int, sizes: dict[str, int]) -> Any:  # noqa: ANN401
        """Normally distributed numbers, or 0 and 1, within the bounds."""
        random = np.random.default_rng([seed, *self.name.encode()])
        shape = []
        for axis, size in enumerate(self.config.shape):
            key = size if isinstance(size, str) else f"{self.name}.{axis}"
            drawn = (
                size if isinstance(size, int) else sizes.setdefault(key, int(random.integers(*EXAMPLE_SIZES)))
            )
            shape.append(drawn)
        row = random.standard_normal(shape)
        if self.dtype.kind == "b":
            return (row > 0).tolist()
        row = np.where(row > 0, 1.0, 0.0) if self.dtype.kind in "iu" else row.astype(self.dtype)
        row = np.clip(row, self.config.minimum, self.config.maximum) if self._is_bounded else row
        return row.astype(self.dtype).tolist()

    def dimensions(self, arrays: Arrays) -> dict[str, int]:
        """Those of its names."""
        shape = arrays[self.name].shape
        return {size: shape[axis] for axis, size in enumerate(self.config.shape) if isinstance(size, str)}

    @property
    def _is_bounded(self) -> bool:
        return self.config.minimum is not None or self.config.maximum is not None

    def _fitting(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape itself; raises WrongShapeError where it is none that is declared."""
        declared = self.config.shape
        fits = len(shape) == len(declared) and all(
            size == wanted if isinstance(wanted, int) else size > 0
            for size, wanted in zip(shape, declared, strict=True)
        )
        if not fits:
            told = ", ".join("any size" if size is None else str(size) for size in declared)
            raise WrongShapeError(f"The shape is {list(shape)}; expected [{told}].")
        if prod(shape) > MOST_NUMBERS:
            raise WrongShapeError(
                f"The shape {list(shape)} has {prod(shape):,} numbers; at most {MOST_NUMBERS:,} fit."
            )
        return shape

    def _of_array(self, array: NDArray[Any]) -> Arrays:
        """An array as its own dtype: fractions are rounded, as those of JSON are, and whole numbers have to stay."""
        self._fitting(array.shape)
        with np.errstate(all="ignore"):
            cast = require_finite(array).astype(self.dtype)
            rounds = array.dtype.kind == self.dtype.kind == "f"
            if not rounds and not np.array_equal(cast.astype(array.dtype), array):
                raise InvalidInputError(
                    f"Some of its {array.dtype.name} numbers are none of {self.config.dtype}; send them as "
                    f"{self.config.dtype}, or others."
                )
        return self._checked(require_finite(cast))

    def _checked(self, array: NDArray[Any]) -> Arrays:
        if self._is_bounded and array.size:
            low, high = self.config.minimum, self.config.maximum
            lowest, highest = array.min(), array.max()
            if (low is not None and lowest < low) or (high is not None and highest > high):
                raise InvalidInputError(
                    f"Its numbers are from {lowest} to {highest}; expected "
                    + " and ".join(
                        f"{word} {bound}"
                        for word, bound in (("at least", low), ("at most", high))
                        if bound is not None
                    )
                    + "."
                )
        arrays = {self.name: array}
        pad = self.config.pad
        if pad is not None:
            length = array.shape[self.config.free[0]]
            if pad.mask is not None:
                arrays[pad.mask] = np.ones(length, bool)
            if pad.length is not None:
                arrays[pad.length] = np.array(length, np.int64)
        return arrays

    def _read_raw(self, body: Body) -> NDArray[Any]:
        free, item = self.config.free, 2 if self.config.dtype == "bfloat16" else self.dtype.itemsize
        known = prod(size for size in self.config.shape if isinstance(size, int)) * item
        count, rest = divmod(len(body), known)
        if len(free) > 1 or rest or (not free and count != 1):
            raise WrongShapeError(
                f"The body has {len(body)} bytes; expected {self.config.dtype}, little-endian, "
                + (
                    f"a multiple of {known} bytes."
                    if len(free) == 1
                    else f"{known} bytes."
                    if not free
                    else "of one free dimension at most: send JSON or .npy."
                )
            )
        shape = [size if isinstance(size, int) else count for size in self.config.shape]
        if self.config.dtype == "bfloat16":
            wide: NDArray[Any] = np.frombuffer(body, "<u2").astype("<u4") << 16
            return wide.view("<f4").reshape(shape)
        if self.dtype.kind == "b":
            flags: NDArray[Any] = np.frombuffer(body, "u1") != 0
            return flags.reshape(shape)
        return np.frombuffer(body, self.dtype.newbyteorder("<")).reshape(shape)


def _nested_shape(value: object) -> tuple[int, ...]:
    """The shape as the first elements show it; that all others agree `number_array` sees."""
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        if not value or len(sizes) > 32:
            break
        value = value[0]
    if not sizes and isinstance(value, str | dict | type(None)):
        raise WrongShapeError(f"It is {shape_of(value)}; expected nested lists of numbers.")
    return tuple(sizes)


def _refuse_lost(value: object, array: NDArray[Any]) -> None:
    """Refuse whole numbers that became others: 2**53 + 1 is none of float64."""
    if not bool((np.abs(array) >= 1 / (2 * np.finfo(array.dtype).eps)).any()):
        return
    leaves = np.array(value, dtype=object).ravel()
    for leaf, held in zip(leaves, array.ravel().tolist(), strict=True):
        if type(leaf) is int and int(held) != leaf:
            raise InvalidInputError(
                f"{leaf} cannot be held by {array.dtype.name}, which would make it {held:.17g}."
            )


def _read_npy(body: Body) -> NDArray[Any]:
    file = io.BytesIO(bytes(body))
    try:
        version = np.lib.format.read_magic(file)
        header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, column_major, dtype = header(file)
    except (ValueError, EOFError, SyntaxError, TypeError) as error:
        raise InvalidInputError(f"The .npy file cannot be read: {error}.") from error
    numbers = file.read()
    if dtype.kind not in "biuf" or len(numbers) != prod(shape) * dtype.itemsize:
        raise InvalidInputError(
            f"The .npy file says {dtype} of {list(shape)}, and {len(numbers)} bytes follow; expected numbers, "
            "all of them."
        )
    return np.frombuffer(numbers, dtype).reshape(shape, order="F" if column_major else "C")
