"""DTensors in a file of one process: the tensor where its part is all of it, else refused with how to save them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from statehouse.models.errors import CheckpointContentError
from statehouse.models.plain import walk
from statehouse.models.storage.inert.record import Named, Record

MAX_LISTED = 8
# `torch.distributed._tensor` before torch 2.5; ShardedTensor is what FSDP1 saves with sharded state_dicts.
_DTENSOR = ("torch.distributed.tensor.", "torch.distributed._tensor.")
_SHARDED_TENSOR = "torch.distributed._shard.sharded_tensor."
SAVE_WHOLE = (
    "every process runs get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, "
    "cpu_offload=True)), of torch.distributed.checkpoint.state_dict, and the first saves what it returns; or "
    "torch.distributed.checkpoint.save writes a folder, which is read as it is"
)


def with_whole_tensors(path: Path, held: object) -> object:
    """Return what a file held with each DTensor that is all in it as a plain tensor; dicts are changed in place.

    Raises CheckpointContentError where another process has the rest of any; optimizers, which are left out, may.
    """
    if (shape := _whole_of(held)) is not None:
        return shape
    parts: list[str] = []
    for where, inside, key in _places(held):
        record = inside[key]
        whole = _whole_of(record)
        if whole is not None:
            inside[key] = whole
        elif not where.lower().startswith("optim"):
            parts.append(f"{where[:100]!a}: {_described(record)}")
    if parts:
        more = [f"… and {len(parts) - MAX_LISTED:,} more such"] if len(parts) > MAX_LISTED else []
        raise CheckpointContentError(
            f"{path}: holds one process's parts of sharded tensors:",
            [*parts[:MAX_LISTED], *more, f"to save them whole: {SAVE_WHOLE}"],
        )
    return held


def _places(held: object) -> Iterator[tuple[str, dict[Any, Any], Any]]:
    """Yield each sharded tensor: where it is, the dict that it is in, its key there."""
    found = [
        (f"{where}.{key}" if where else str(key), item, key)
        for where, _, item in walk(held, "", (Tensor, Record, Named))
        if isinstance(item, dict)
        for key in item
        if _is_sharded(item[key])
    ]
    yield from found


def _is_sharded(value: object) -> bool:
    return isinstance(value, Record) and value.name.startswith((*_DTENSOR, _SHARDED_TENSOR))


def _whole_of(value: object) -> Tensor | None:
    """Return the tensor that a DTensor has here, where that has the shape of all of it."""
    local = _local(value)
    return local if local is not None and tuple(local.shape) == _shape(value) else None


def _local(value: object) -> Tensor | None:
    if not isinstance(value, Record) or not value.name.startswith(_DTENSOR):
        return None
    local = value.attributes().get("_local_tensor")
    return local.detach() if isinstance(local, Tensor) else None


def _shape(value: object) -> tuple[int, ...] | None:
    """Return the shape of all of it: a wrapper's arguments begin with a dtype and a size."""
    arguments = value.arguments if isinstance(value, Record) else ()
    size = arguments[1] if len(arguments) > 1 else None
    return tuple(size) if isinstance(size, tuple) and all(isinstance(each, int) for each in size) else None


def _described(record: Record) -> str:
    local, shape = _local(record), _shape(record)
    if local is None or shape is None:
        return f"a {record.name}"
    return f"{list(local.shape)} of {list(shape)}"
