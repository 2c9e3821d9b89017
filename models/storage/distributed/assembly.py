"""A tensor put together from its parts, one part in memory at a time beside it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from statehouse.models.storage.distributed.manifest import Chunk, ChunkedTensor


class ChunkError(ValueError):
    """A part is not what is said of it."""


def assemble(tensor: ChunkedTensor, read: Callable[[Chunk], object], device: torch.device) -> Tensor:
    """Return the whole tensor; one that is stored as one part is that part, as `read` returns it.

    Raises ChunkError where a part that is read has another dtype or shape than is said.
    """
    if len(tensor.chunks) == 1 and tensor.chunks[0].sizes == tensor.size:
        return _checked(tensor, tensor.chunks[0], read).to(device)
    whole = torch.empty(tensor.size, dtype=tensor.dtype, device=device)
    for chunk in tensor.chunks:
        place = tuple(
            slice(start, start + count) for start, count in zip(chunk.offsets, chunk.sizes, strict=True)
        )
        whole[place].copy_(_checked(tensor, chunk, read))
    return whole


def _checked(tensor: ChunkedTensor, chunk: Chunk, read: Callable[[Chunk], object]) -> Tensor:
    part = read(chunk)
    if not isinstance(part, Tensor):
        raise ChunkError(f"the part at {list(chunk.offsets)} is a {type(part).__name__}; expected a tensor")
    if part.layout != torch.strided or part.device.type == "meta":
        raise ChunkError(
            f"the part at {list(chunk.offsets)} is {part.layout} on {part.device}; expected its values"
        )
    if part.dtype != tensor.dtype or tuple(part.shape) != chunk.sizes:
        raise ChunkError(
            f"the part at {list(chunk.offsets)} is {part.dtype} {list(part.shape)}; "
            f".metadata says {tensor.dtype} {list(chunk.sizes)}"
        )
    return part.detach()
