"""A folder of torch.distributed.checkpoint, read as the dict that was saved; `meta.pt` beside it has the rest.

.metadata      names, sizes, and where each part of a tensor and each other value is
__0_0.distcp   of each process: its items one after another, each as torch.save writes it
meta.pt        of Lightning's FSDP: epoch, step, hyper-parameters
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from statehouse.models.errors import CheckpointContentError, CheckpointUnreadableError
from statehouse.models.storage.containers import read_torch
from statehouse.models.storage.distributed.assembly import ChunkError, assemble
from statehouse.models.storage.distributed.finding import META_FILE, METADATA_FILE, is_shard_of_process
from statehouse.models.storage.distributed.items import damage_of_item, read_item
from statehouse.models.storage.distributed.manifest import MAX_LISTED, Manifest, Place, parse_manifest, shown
from statehouse.models.storage.distributed.nesting import nest
from statehouse.models.storage.distributed.safetensors_shards import read_process_shards
from statehouse.models.storage.files import Container
from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.inert.unpickler import Unpickler
from statehouse.models.storage.torch_archive import MAX_PICKLE_BYTES

MODEL_KEY = "model"


@dataclass(frozen=True)
class SavedFolder:
    """What such a folder holds; `path` is its `.metadata`, `files` are all that are read."""

    path: Path
    container: Container
    held: dict[Any, Any]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def read_saved_folder(folder: Path, device: torch.device) -> SavedFolder:
    """Read a folder: what its optimizers hold stays unread, everything else is nested as it was when it was saved.

    Raises:
        CheckpointUnreadableError: `.metadata` is missing or damaged.
        CheckpointContentError: files are missing or cut short, or what is said of them is wrong; all are listed.
    """
    if not (folder / METADATA_FILE).is_file() and any(map(is_shard_of_process, folder.iterdir())):
        tensors, files, problems = read_process_shards(folder, device)
        _refuse(folder, problems)
        return SavedFolder(files[0], "safetensors", tensors, files)
    manifest = _read_manifest(folder)
    problems = manifest.problems or _file_problems(folder, manifest.places())
    _refuse(folder, problems)
    notes = _leave_out_optimizers(manifest)
    flat: dict[str, object] = {}
    for name, tensor in manifest.tensors.items():
        try:
            flat[name] = assemble(tensor, lambda chunk: read_item(folder, chunk.place), device)
        except (ChunkError, CheckpointUnreadableError) as error:
            problems.append(f"{shown(name)}: {error}")
    for name, place in manifest.values.items():
        try:
            flat[name] = read_item(folder, place)
        except CheckpointUnreadableError as error:
            problems.append(f"{shown(name)}: {error}")
    held, more = nest(flat, manifest.paths)
    _refuse(folder, [*problems, *more])
    files = _files(folder, manifest)
    return _with_meta(folder, SavedFolder(folder / METADATA_FILE, "pt", _gathered(held), files, notes))


def damage_of_folder(folder: Path) -> list[str]:
    """Read every byte of what a folder's items hold, optimizers among them, and say which have changed.

    Raises CheckpointUnreadableError as `read_saved_folder` does.
    """
    manifest = _read_manifest(folder)
    _refuse(folder, manifest.problems or _file_problems(folder, manifest.places()))
    return [
        f"{place.file}: {problem}" for place in manifest.places() for problem in damage_of_item(folder, place)
    ]


def _refuse(folder: Path, problems: list[str]) -> None:
    if problems:
        more = len(problems) - MAX_LISTED
        listed = [*problems[:MAX_LISTED], *([f"… and {more:,} more such"] if more > 0 else [])]
        raise CheckpointContentError(
            f"{folder}: is not one whole folder of torch.distributed.checkpoint; copy all files of one save again:",
            listed,
        )


def _read_manifest(folder: Path) -> Manifest:
    path = folder / METADATA_FILE
    if not path.is_file():
        raise CheckpointUnreadableError(
            f"{folder}: has parts of torch.distributed.checkpoint, and no {METADATA_FILE}, which says what is where; "
            "copy it as well (its name begins with a dot)"
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PICKLE_BYTES + 1)
    except OSError as error:
        raise CheckpointUnreadableError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_PICKLE_BYTES:
        raise CheckpointUnreadableError(
            f"{path}: has more than {MAX_PICKLE_BYTES:,} bytes; expected at most that"
        )
    try:
        return parse_manifest(Unpickler(content).load())
    except DamagedPickleError as error:
        raise CheckpointUnreadableError(f"{path}: is damaged ({error}); copy it again") from error


def _file_problems(folder: Path, places: Iterable[Place]) -> list[str]:
    """Say which files are missing or end too early, and where items lie over each other."""
    by_file: dict[str, list[Place]] = {}
    for place in places:
        by_file.setdefault(place.file, []).append(place)
    problems: list[str] = []
    for name, found in sorted(by_file.items()):
        size = _size_of(folder / name)
        end = max(place.end for place in found)
        if size is None:
            problems.append(f"{shown(name)}: is missing")
        elif end > size:
            problems.append(f"{shown(name)}: has {size:,} bytes; {METADATA_FILE} says at least {end:,}")
        in_turn = sorted(found, key=attrgetter("start", "length"))
        if any(first.end > second.start for first, second in pairwise(in_turn)):
            problems.append(f"{shown(name)}: items lie over each other")
    return problems


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # a name longer than any file has
        return None


def _leave_out_optimizers(manifest: Manifest) -> tuple[str, ...]:
    """Take off what optimizers hold, which is twice as much as the model, and say so."""
    counts: dict[str, int] = {}
    for name in [*manifest.tensors, *manifest.values]:
        first = manifest.paths.get(name, (name,))[0]
        top = str(first).partition(".")[0]
        if not top.lower().startswith("optim"):
            continue
        counts[top] = counts.get(top, 0) + (name in manifest.tensors)
        manifest.tensors.pop(name, None)
        manifest.values.pop(name, None)
    return tuple(f"left unread, serving needs none of it: {shown(top)}" for top in counts)


def _gathered(held: dict[Any, Any]) -> dict[Any, Any]:
    """Put tensors that stand at the top beside other things, as torchtitan saves a model, under one key."""
    tensors = {name: value for name, value in held.items() if isinstance(value, Tensor)}
    if not tensors or len(tensors) == len(held) or MODEL_KEY in held:
        return held
    return {MODEL_KEY: tensors} | {name: value for name, value in held.items() if name not in tensors}


def _with_meta(folder: Path, found: SavedFolder) -> SavedFolder:
    path = folder / META_FILE
    if not path.is_file():
        return found
    meta = read_torch(path, torch.device("cpu"))
    if not isinstance(meta, Mapping):
        return found
    return replace(found, held={**meta, **found.held}, files=(*found.files, path))


def _files(folder: Path, manifest: Manifest) -> tuple[Path, ...]:
    names = sorted({place.file for place in manifest.places()})
    return (*(folder / name for name in names), folder / METADATA_FILE)
