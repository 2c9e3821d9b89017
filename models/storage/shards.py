"""A checkpoint's files, one or several, read and written as one: shard by shard, without copies in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from statehouse.models.errors import CheckpointContentError
from statehouse.models.storage.containers import (
    PLAIN_KEY,
    TIES_KEY,
    read_container,
    read_safetensors,
    read_torch,
    stored_once,
    with_plain,
    write_container,
    write_tensors,
)
from statehouse.models.storage.distributed.finding import DATA_SUFFIX, METADATA_FILE
from statehouse.models.storage.distributed.folder import damage_of_folder, read_saved_folder
from statehouse.models.storage.distributed.sharded_tensors import with_whole_tensors
from statehouse.models.storage.files import Container, atomic_file, container_of, recognise_container
from statehouse.models.storage.shard_index import (
    INDEX_SUFFIX,
    ShardIndex,
    content_problems,
    is_index,
    locate_checkpoint,
    read_index,
)
from statehouse.models.storage.torch_archive import damaged_records
from statehouse.models.tensors.ties import memory_key

SAVE_KEY = "statehouse_save"  # in the header of a shard: the digest of the save that it belongs to
SAVE_DIGITS = 8  # of that digest, in a shard's name: two saves never write to one file


@dataclass(frozen=True)
class CheckpointFiles:
    """What the files of one checkpoint hold; `path` is its only file, or what says which the others are."""

    path: Path
    container: Container
    held: object
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()  # how they are read, where that is not plain


def read_files(path: Path, device: torch.device) -> CheckpointFiles:
    """Read a checkpoint file, an index of shards, or the folder of either; tensors on a CPU are mapped files.

    A folder of torch.distributed.checkpoint is read as well; where its tensors are in parts, they are put together.

    Raises:
        CheckpointNotFoundError, CheckpointUnreadableError, CheckpointUnsafeError: as `read_container` says.
        CheckpointContentError: shards that are missing, doubled, elsewhere or of different saves, or that do not
            hold what the index says; or parts of tensors of which other processes have the rest. All are listed.
    """
    found = locate_checkpoint(path)
    if found.is_dir():
        saved = read_saved_folder(found, device)
        return CheckpointFiles(saved.path, saved.container, saved.held, saved.files, saved.notes)
    if not is_index(found):
        container, held = read_container(found, device)
        return CheckpointFiles(found, container, with_whole_tensors(found, held), (found,))
    index = read_index(found)
    return CheckpointFiles(found, index.container, _read_shards(index, device), index.files)


def damaged_bytes(path: Path, files: Sequence[Path]) -> list[str]:
    """Read every byte of a checkpoint's files of torch, `path` first among them, and say which have changed.

    Raises CheckpointUnreadableError where a file cannot be read any more.
    """
    of_folder = damage_of_folder(path.parent) if path.name == METADATA_FILE else []
    others = [file for file in files if not is_index(file) and file.suffix != DATA_SUFFIX]
    return [*of_folder, *(f"{file.name}: {problem}" for file in others for problem in damaged_records(file))]


def _read_shards(index: ShardIndex, device: torch.device) -> dict[str, Any]:
    plain = index.metadata.get(PLAIN_KEY)
    own = plain if isinstance(plain, dict) else None
    shards: dict[str, dict[str, Tensor]] = {}
    problems: list[str] = []
    for name in index.shards:
        shards[name], more = _read_shard(index.path.with_name(name), device, own)
        problems += more
    problems = problems or content_problems(index, shards) or _size_problems(index, shards)
    if problems:
        raise CheckpointContentError(
            f"{index.path}: its shards are not one checkpoint; copy all files of one save again:", problems
        )
    tensors = {name: tensor for shard in shards.values() for name, tensor in shard.items()}
    return tensors if own is None else with_plain(index.path, tensors, own)


def _read_shard(
    path: Path, device: torch.device, own: Mapping[str, Any] | None
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors of a shard, and what is wrong with it; `own` is the index's plain data, if it is ours."""
    if recognise_container(path) == "safetensors":
        tensors, header = read_safetensors(path, device)
        if own is not None and header.get(SAVE_KEY) != own.get("digest"):
            return tensors, [f"{path.name} is of another save than the index"]
        return tensors, []
    held = read_torch(path, device)
    if isinstance(held, dict) and all(isinstance(held[name], Tensor) for name in held):
        return {str(name): held[name].detach() for name in held}, []
    return {}, [f"{path.name} holds other things than tensors; expected a dict of names and tensors"]


def _size_problems(index: ShardIndex, shards: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
    """Compare the bytes of all tensors with what the index says; tied ones may count once or for each name."""
    said = index.metadata.get("total_size")
    tensors = [tensor for shard in shards.values() for tensor in shard.values()]
    sizes = {memory_key(tensor): tensor.numel() * tensor.itemsize for tensor in tensors}
    known = {sum(sizes.values()), sum(tensor.numel() * tensor.itemsize for tensor in tensors)}
    if not isinstance(said, int | float) or said in known:
        return []
    return [
        f"the index says that all tensors have {said:,} bytes, and the shards' have {max(known):,}: they are of "
        "different versions (or, if you know that they are not, take total_size out of the index)"
    ]


def write_files(
    path: Path,
    tensors: Mapping[str, Tensor],
    plain: Mapping[str, Any],
    *,
    max_shard_bytes: int | None = None,
) -> Path:
    """Write a checkpoint atomically; where it takes more than one shard of `max_shard_bytes`, as shards.

    Returns the file, or the index beside the shards. Until the index is in its place the checkpoint that was
    there before stays whole; its shards are then removed. A tensor larger than a shard has one of its own.

    Raises CheckpointContentError where the container cannot hold tensors, or cannot be sharded.
    """
    container = container_of(path)
    if max_shard_bytes is None:
        write_container(path, container, tensors, plain)
        return path
    if container != "safetensors" or max_shard_bytes < 1:
        raise CheckpointContentError(
            f"{path}: cannot be saved in shards of {max_shard_bytes:,} bytes:",
            ["expected the suffix .safetensors and at least 1 byte a shard"],
        )
    stored, ties = stored_once(path, tensors)
    shards = list(_split(stored, max_shard_bytes))
    if len(shards) < 2:
        write_container(path, container, tensors, plain)
        return path
    return _write_shards(path, shards, {**plain, TIES_KEY: ties})


def _split(tensors: Mapping[str, Tensor], max_shard_bytes: int) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    size_bytes = 0
    for name, tensor in tensors.items():
        tensor_bytes = tensor.numel() * tensor.itemsize
        if shard and size_bytes + tensor_bytes > max_shard_bytes:
            yield shard
            shard, size_bytes = {}, 0
        shard[name] = tensor
        size_bytes += tensor_bytes
    yield shard


def _write_shards(path: Path, shards: list[dict[str, Tensor]], plain: dict[str, Any]) -> Path:
    index_path = path.with_name(path.name + INDEX_SUFFIX)
    earlier = _shards_of(index_path)
    save = plain["digest"]
    files = {
        f"{path.stem}-{save[:SAVE_DIGITS]}-{number:05}-of-{len(shards):05}{path.suffix}": shard
        for number, shard in enumerate(shards, start=1)
    }
    try:
        for name, shard in files.items():
            write_tensors(path.with_name(name), shard, {SAVE_KEY: save})
        _write_index(index_path, files, plain)
    except BaseException:
        _remove(path, files.keys() - earlier)
        raise
    _remove(path, earlier - files.keys())
    return index_path


def _write_index(index_path: Path, files: Mapping[str, Mapping[str, Tensor]], plain: dict[str, Any]) -> None:
    total_size = sum(t.numel() * t.itemsize for shard in files.values() for t in shard.values())
    index = {
        "metadata": {"total_size": total_size, PLAIN_KEY: plain},
        "weight_map": {name: file for file, shard in files.items() for name in shard},
    }
    with atomic_file(index_path) as sibling:
        sibling.write_text(json.dumps(index, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _shards_of(index_path: Path) -> set[str]:
    """Return the names of the shards of an earlier save of ours, which this one takes the place of."""
    if not index_path.exists():
        return set()
    try:
        index = read_index(index_path)
    except CheckpointContentError:  # it was not whole: nothing says which files are its own
        return set()
    return set(index.shards) if PLAIN_KEY in index.metadata else set()


def _remove(path: Path, names: set[str]) -> None:
    for name in names:
        path.with_name(name).unlink(missing_ok=True)
