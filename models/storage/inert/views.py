"""What a file may say of a tensor before torch sees it: its elements lie in its storage, and all stay within bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

MAX_DIMENSIONS = 64  # torch's own bound in most of its operators
MAX_EXPANDED_BYTES = (
    1024 * 1024 * 1024
)  # of all tensors of a file beyond what it stores: strides of 0 take no bytes
MAX_TIMES_STORED = 16  # tied weights, views of one storage
_MAX_ELEMENTS = 2**62


class UnsoundTensorError(Exception):
    """A pickle says of a tensor what its bytes do not hold."""


class Bounds:
    """Checks each tensor of one file, and how many bytes all would take if they were copied."""

    def __init__(self, stored_bytes: int) -> None:
        self.left = MAX_TIMES_STORED * stored_bytes + MAX_EXPANDED_BYTES
        self.seen: set[tuple[object, ...]] = set()

    def check(
        self, storage: torch.UntypedStorage, dtype: torch.dtype, offset: object, size: object, stride: object
    ) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Return offset, size and stride, in elements, once they are known to lie in the storage.

        Raises UnsoundTensorError where they do not, or all tensors so far would take too much memory.
        """
        sizes, strides = integers("size", size), integers("stride", stride)
        if type(offset) is not int or not 0 <= offset < _MAX_ELEMENTS or len(sizes) != len(strides):
            raise UnsoundTensorError(
                f"a tensor of size {_shown(size)} has strides {_shown(stride)}, offset {_shown([offset])}"
            )
        count = math.prod(sizes)
        last = offset + sum((each - 1) * step for each, step in zip(sizes, strides, strict=True))
        if (count and (last + 1) * dtype.itemsize > storage.nbytes()) or count >= _MAX_ELEMENTS:
            raise UnsoundTensorError(f"declares {dtype} {list(sizes)}, which its record does not hold")
        self.count(
            (id(storage), offset, sizes, strides, dtype), count * dtype.itemsize, f"{dtype} {list(sizes)}"
        )
        return offset, sizes, strides

    def count(self, key: tuple[object, ...], size_bytes: int, what: str) -> None:
        """Count the bytes of a tensor that was not counted before."""
        if key in self.seen:
            return
        self.seen.add(key)
        self.left -= size_bytes
        if self.left < 0:
            raise UnsoundTensorError(
                f"declares {what}, which its record does not hold: with it all tensors would take more than "
                f"{MAX_EXPANDED_BYTES:,} bytes beyond {MAX_TIMES_STORED} times what is stored"
            )


def integers(what: str, values: object) -> tuple[int, ...]:
    """Return a size or stride; raises UnsoundTensorError for what is none."""
    if not isinstance(values, tuple | list) or len(values) > MAX_DIMENSIONS:
        raise UnsoundTensorError(f"the {what} of a tensor is {_shown(values)}")
    if not all(type(each) is int and 0 <= each < _MAX_ELEMENTS for each in values):
        raise UnsoundTensorError(f"the {what} of a tensor is {_shown(values)}")
    return tuple(values)


def _shown(values: object) -> str:
    if not isinstance(values, Sequence) or len(values) > MAX_DIMENSIONS:
        return f"a {type(values).__name__}"
    return str([each if type(each) is int else type(each).__name__ for each in values])
