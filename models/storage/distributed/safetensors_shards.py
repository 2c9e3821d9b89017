"""Shards of processes in safetensors, as HuggingFaceStorageWriter leaves them: each says which part it has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from statehouse.models.storage.containers import read_safetensors
from statehouse.models.storage.distributed.assembly import assemble
from statehouse.models.storage.distributed.finding import SHARD_OF_PROCESS
from statehouse.models.storage.distributed.manifest import Chunk, ChunkedTensor, Place, extent, shown
from statehouse.models.storage.distributed.tiling import tiling_problem

SHARDING_KEY, OFFSETS_KEY = "DCP_SHARDING_INFO", "saved_offsets"  # in the header of each shard

Parts = dict[str, list[tuple[Chunk, Tensor]]]


def read_process_shards(
    folder: Path, device: torch.device
) -> tuple[dict[str, Tensor], tuple[Path, ...], list[str]]:
    """Return the tensors of all shards put together, their files, and everything that is wrong.

    How large a tensor is the shards themselves say, so what is missing is known by a gap, in a tensor or in the
    numbers of the shards: nothing says how many shards there were.

    Raises CheckpointUnreadableError where a shard cannot be read.
    """
    files = {
        int(match[1]): file for file in folder.iterdir() if (match := SHARD_OF_PROCESS.fullmatch(file.name))
    }
    problems = [f"shard {number} is missing" for number in range(1, max(files)) if number not in files]
    parts: Parts = {}
    for number in sorted(files):
        problems += _add_shard(files[number], parts)
    whole = {}
    for name, found in parts.items():
        tensor, problem = _whole(found)
        if problem or tensor is None:
            problems.append(f"{shown(name)}: {problem}")
        elif not problems:
            whole[name] = assemble(tensor, partial(_part_of, dict(found)), device)
    return whole, tuple(files[number] for number in sorted(files)), problems


def _add_shard(file: Path, parts: Parts) -> list[str]:
    tensors, header = read_safetensors(file, torch.device("cpu"))
    try:
        said = json.loads(header.get(SHARDING_KEY, ""))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, Mapping):
        return [f"{file.name}: its header has no {SHARDING_KEY}, which says where its parts belong"]
    problems = []
    for name, tensor in tensors.items():
        about = said.get(name)
        offsets = extent(about.get(OFFSETS_KEY)) if isinstance(about, Mapping) else None
        if offsets is None or len(offsets) != tensor.dim():
            problems.append(f"{file.name}: {shown(name)} has no {OFFSETS_KEY} along its {tensor.dim()} axes")
        else:
            chunk = Chunk(offsets, tuple(tensor.shape), Place(file.name, 0, 0))
            parts.setdefault(name, []).append((chunk, tensor))
    return problems


def _whole(found: list[tuple[Chunk, Tensor]]) -> tuple[ChunkedTensor | None, str | None]:
    """Return what the parts make up; a part that several processes have is taken of the first."""
    own = {(chunk.offsets, chunk.sizes): chunk for chunk, tensor in reversed(found) if tensor.numel()}
    chunks = list(own.values())
    axes, dtypes = {len(chunk.sizes) for chunk, _ in found}, {tensor.dtype for _, tensor in found}
    if len(axes) > 1 or len(dtypes) > 1:
        return None, "its parts have different axes, or different dtypes"
    ends = [[a + b for a, b in zip(each.offsets, each.sizes, strict=True)] for each, _ in found]
    size = tuple(max(along) for along in zip(*ends, strict=True))
    problem = tiling_problem(size, [(chunk.offsets, chunk.sizes) for chunk in chunks])
    return ChunkedTensor(dtypes.pop(), size, tuple(chunks)), problem


def _part_of(found: Mapping[Chunk, Tensor], chunk: Chunk) -> Tensor:
    return found[chunk]
