"""Tensors that consist of others: sparse ones of indices and values, nested ones of a buffer and its parts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from statehouse.models.storage.inert.views import UnsoundTensorError, integers

MAX_NESTED = 1_000_000  # parts of a nested tensor

_COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


def sparse(layout: object, data: object) -> Tensor:
    """Return a sparse tensor of any layout; torch compares its indices with its size.

    Raises UnsoundTensorError, or whatever torch raises, where they do not fit.
    """
    if not isinstance(data, tuple) or not all(
        isinstance(each, Tensor) for each in data[: _tensors_of(layout)]
    ):
        raise UnsoundTensorError("a sparse tensor's indices or values are no tensors")
    if layout is torch.sparse_coo and len(data) in (3, 4):
        indices, values, size, *coalesced = data
        is_coalesced = coalesced[0] if coalesced and isinstance(coalesced[0], bool) else None
        return torch.sparse_coo_tensor(
            indices, values, integers("size", size), check_invariants=True, is_coalesced=is_coalesced
        )
    compressed, plain, values, size = data
    assert isinstance(layout, torch.layout)  # noqa: S101 - `_tensors_of` has seen to it
    return torch.sparse_compressed_tensor(
        compressed, plain, values, integers("size", size), layout=layout, check_invariants=True
    )


def _tensors_of(layout: object) -> int:
    if layout is torch.sparse_coo:
        return 2
    if layout in _COMPRESSED:
        return 3
    raise UnsoundTensorError(f"a sparse tensor's layout is a {type(layout).__name__}")


def nested(buffer: object, sizes: object, strides: object, offsets: object) -> Tensor:
    """Return a nested tensor: parts of a buffer, each with a size, a stride and an offset.

    Raises UnsoundTensorError where a part is not within the buffer.
    """
    tables = (sizes, strides, offsets)
    if (
        not isinstance(buffer, Tensor)
        or not buffer.is_contiguous()
        or not all(isinstance(each, Tensor) for each in tables)
    ):
        raise UnsoundTensorError("a nested tensor's parts are no tensors")
    sizes, strides, offsets = (_table(each) for each in tables)
    if (
        sizes.dim() != 2
        or strides.shape != sizes.shape
        or offsets.shape != sizes.shape[:1]
        or buffer.dim() != 1
    ):
        raise UnsoundTensorError(
            f"a nested tensor has sizes {list(sizes.shape)}, offsets {list(offsets.shape)}"
        )
    for size, stride, offset in zip(sizes.tolist(), strides.tolist(), offsets.tolist(), strict=True):
        last = offset + sum((each - 1) * step for each, step in zip(size, stride, strict=True))
        if min(size + stride + [offset], default=0) < 0 or (all(size) and last >= buffer.numel()):
            raise UnsoundTensorError(f"declares a part of size {size}, which its record does not hold")
    return torch._nested_view_from_buffer(buffer, sizes, strides, offsets)


def jagged(fields: object) -> Tensor:
    """Return a nested tensor of the jagged layout as one of the strided: rows of `values`, cut at `offsets`.

    Raises UnsoundTensorError where a part is not within the values, or where not the first dimension is ragged.
    """
    if not isinstance(fields, dict) or fields.get("_ragged_idx", 1) != 1:
        raise UnsoundTensorError("a jagged tensor's first dimension is not the one that varies")
    values, offsets, lengths = (fields.get(name) for name in ("values", "offsets", "lengths"))
    if not isinstance(values, Tensor) or values.dim() == 0:
        raise UnsoundTensorError("a jagged tensor's values are no tensor")
    starts, ends = _table(offsets)[:-1], _table(offsets)[1:]
    counts = ends - starts if lengths is None else _table(lengths)
    row = list(values.shape[1:])
    strides = [math.prod(row[place:]) for place in range(len(row) + 1)]
    sizes = torch.tensor([[count, *row] for count in counts.tolist()], dtype=torch.int64)
    steps = torch.tensor([strides] * len(counts), dtype=torch.int64)
    return nested(values.detach().reshape(-1), sizes, steps, starts * strides[0])


def _table(tensor: object) -> Tensor:
    if (
        not isinstance(tensor, Tensor)
        or tensor.dtype != torch.int64
        or tensor.is_meta
        or tensor.numel() > MAX_NESTED
    ):
        raise UnsoundTensorError("a nested tensor's sizes are no integers")
    return tensor.detach().cpu().contiguous()
