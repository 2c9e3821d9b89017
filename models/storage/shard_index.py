"""Checkpoints of several files: an index says which tensor is in which shard, as Hugging Face's tools write it.

`{"metadata": {"total_size": bytes}, "weight_map": {"encoder.weight": "model-00001-of-00002.safetensors", …}}`
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statehouse.models.errors import (
    CheckpointContentError,
    CheckpointNotFoundError,
    CheckpointUnreadableError,
)
from statehouse.models.plain import parse_json_object
from statehouse.models.storage.distributed.finding import find_saved_folder
from statehouse.models.storage.files import Container, container_of, is_checkpoint_file
from statehouse.models.storage.named_folders import refuse_named_folder

INDEX_SUFFIX = ".index.json"
MAX_INDEX_BYTES = 64 * 1024 * 1024
MAX_LISTED = 8  # problems of one kind

# What transformers and accelerate call a model; beside it they write optimizer.bin, training_args.bin …
_USUAL_NAMES = ("model.safetensors", "pytorch_model.bin")
_OF_MANY = re.compile(r"-(\d{5})-of-(\d{5})\.")


@dataclass(frozen=True)
class ShardIndex:
    """What an index says: the shards, by name, in the folder of the index, and the tensors of each."""

    path: Path
    container: Container
    shards: Mapping[str, frozenset[str]]
    metadata: Mapping[str, Any]

    @property
    def files(self) -> tuple[Path, ...]:
        """The shards, then the index."""
        return (*(self.path.with_name(name) for name in self.shards), self.path)


def is_index(path: Path) -> bool:
    """Whether `path` is called as an index is."""
    return path.name.endswith(INDEX_SUFFIX)


def locate_checkpoint(path: Path) -> Path:
    """Return the file that `path` means: itself, or what a folder holds, an index before a single file.

    Where a folder has it in both containers, safetensors is taken; of several, what is called `model.safetensors`
    or `pytorch_model.bin`. What is returned is a folder where torch.distributed.checkpoint has written it.

    Raises:
        CheckpointUnreadableError: the folder holds no checkpoint, several, shards without an index, or what another
            tool makes a checkpoint of.
    """
    refuse_named_folder(path)
    if not path.is_dir():
        return find_saved_folder(path) or path
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    indexes = [file for file in files if is_index(file)]
    whole = [file for file in files if is_checkpoint_file(file) and not _OF_MANY.search(file.name)]
    found = indexes or whole
    found = [file for file in found if ".safetensors" in file.name] or found
    found = [file for file in found if file.name.startswith(_USUAL_NAMES)] or found
    saved = find_saved_folder(path)
    if saved is not None and (saved == path or not found):
        return saved
    if len(found) == 1:
        return found[0]
    raise CheckpointUnreadableError(f"{path}: {_not_one(files, found)}")


def _not_one(files: Sequence[Path], found: Sequence[Path]) -> str:
    if found:
        return f"holds several checkpoints: {', '.join(file.name for file in found)}; name one of them"
    shards = [file.name for file in files if _OF_MANY.search(file.name)]
    if shards:
        name = _OF_MANY.sub(".", shards[0]) + INDEX_SUFFIX
        return f"holds {len(shards)} shards and no index, which says what is in each; copy {name} as well"
    return "is a folder without a checkpoint; expected a .pt or .safetensors file, or shards with their index"


def read_index(path: Path) -> ShardIndex:
    """Read an index, and see that its shards are all there, each in the folder of the index.

    Raises:
        CheckpointNotFoundError: there is no such index.
        CheckpointUnreadableError: it is too large, or no JSON.
        CheckpointContentError: it is no index, names files elsewhere, or shards that are missing; all are listed.
    """
    held = _read_json(path)
    weight_map = held.get("weight_map")
    metadata = held.get("metadata", {})
    if not isinstance(metadata, dict) or not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointContentError(
            f"{path}: is no index of shards:",
            ['expected {"metadata": {…}, "weight_map": {"tensor": "file"}}'],
        )
    shards: dict[str, set[str]] = {}
    for name, file in weight_map.items():
        shards.setdefault(file if isinstance(file, str) else repr(file), set()).add(name)
    problems = [problem for name in sorted(shards) if (problem := _file_problem(path, name))]
    problems += [] if problems else _set_problems(sorted(shards))
    if problems:
        raise CheckpointContentError(f"{path}: does not lead to one whole checkpoint:", problems)
    container = container_of(Path(next(iter(shards))))
    frozen = {name: frozenset(shards[name]) for name in sorted(shards)}
    return ShardIndex(path, container, frozen, metadata)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_INDEX_BYTES + 1)
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(f"{path}: no such file; expected an index of shards") from error
    except OSError as error:
        raise CheckpointUnreadableError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_INDEX_BYTES:
        raise CheckpointUnreadableError(f"{path}: has more than {MAX_INDEX_BYTES:,} bytes; expected an index")
    return parse_json_object(path, content, "the index")


def _file_problem(index: Path, name: str) -> str | None:
    if name != Path(name).name or name in ("", "..") or "\\" in name or "\0" in name:
        return f"{name!r} is not in the folder of the index; expected the plain name of a file beside it"
    file = index.with_name(name)
    if not is_checkpoint_file(file):
        return f"{name!r} is called like no checkpoint; expected .safetensors, .bin or .pt"
    try:
        is_there = file.is_file()
    except OSError:  # a name longer than any file has
        is_there = False
    return None if is_there else f"shard {name} is missing; copy or download it again"


def _set_problems(names: Sequence[str]) -> list[str]:
    """Say why these shards, which are all there, are not the whole of one save."""
    problems = []
    if len({container_of(Path(name)) for name in names}) > 1:
        problems.append(f"shards are in both containers: {', '.join(names[:MAX_LISTED])}; expected one")
    numbered = [match for name in names if (match := _OF_MANY.search(name))]
    counts = sorted({int(match[2]) for match in numbered})
    if len(counts) > 1:
        listed = " and ".join(f"of {count}" for count in counts)
        problems.append(f"shards are of different saves: some {listed}; copy all files of one save")
    elif counts:
        absent = sorted(set(range(1, counts[0] + 1)) - {int(match[1]) for match in numbered})
        problems += [f"shard {number} of {counts[0]} is not in the index" for number in absent[:MAX_LISTED]]
    return problems


def content_problems(index: ShardIndex, held: Mapping[str, Collection[str]]) -> list[str]:
    """Say where the shards do not hold what the index says; `held` has the names of the tensors in each."""
    homes: dict[str, list[str]] = {}
    for shard, names in held.items():
        for name in names:
            homes.setdefault(name, []).append(shard)
    named = frozenset().union(*index.shards.values())
    absent = [
        f"{name} is not in {shard}, where the index has it"
        for shard, names in index.shards.items()
        for name in sorted(names.difference(held[shard]))
    ]
    doubled = [f"{name} is in {' and in '.join(shards)}" for name, shards in homes.items() if len(shards) > 1]
    unknown = [
        f"{name}, in {shards[0]}, is not in the index" for name, shards in homes.items() if name not in named
    ]
    return [*_some(absent), *_some(doubled), *_some(unknown)]


def _some(problems: list[str]) -> list[str]:
    more = len(problems) - MAX_LISTED
    return [*problems[:MAX_LISTED], *([f"… and {more:,} more such"] if more > 0 else [])]
