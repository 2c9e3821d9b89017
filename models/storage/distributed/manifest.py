"""What `.metadata` says of a torch.distributed.checkpoint folder, as its inert record: nothing of it is run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from statehouse.models.plain import MAX_DEPTH, is_text
from statehouse.models.storage.distributed.nesting import Path
from statehouse.models.storage.distributed.tiling import tiling_problem
from statehouse.models.storage.inert.record import Record

MAX_AXES = 64
MAX_NAME = 1000  # characters
MAX_LISTED = 20  # problems
_METADATA = "torch.distributed.checkpoint.metadata"
_STORED = ("torch.distributed.checkpoint.filesystem._StorageInfo",)


@dataclass(frozen=True, slots=True)
class Place:
    """The bytes of an item: a file beside `.metadata`, and a range of it."""

    file: str
    start: int
    length: int

    @property
    def end(self) -> int:
        """The byte after the last."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a tensor, by where it starts and how far it goes along each axis."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class ChunkedTensor:
    """A tensor, and the parts that it is stored as, which together are all of it."""

    dtype: torch.dtype
    size: tuple[int, ...]
    chunks: tuple[Chunk, ...]

    @property
    def bytes(self) -> int:
        """What all of it takes in memory."""
        return math.prod(self.size) * self.dtype.itemsize


@dataclass
class Manifest:
    """Tensors and other values by their flat names, the paths that these were made of, and everything wrong."""

    tensors: dict[str, ChunkedTensor] = field(default_factory=dict)
    values: dict[str, Place] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def places(self) -> list[Place]:
        """Return where all its items are."""
        of_tensors = [chunk.place for tensor in self.tensors.values() for chunk in tensor.chunks]
        return [*of_tensors, *self.values.values()]


def parse_manifest(held: object) -> Manifest:
    """Return what `.metadata` holds; of a manifest with problems nothing is to be read."""
    manifest = Manifest()
    if not isinstance(held, Record) or held.name != f"{_METADATA}.Metadata":
        manifest.problems.append("expected the Metadata of torch.distributed.checkpoint")
        return manifest
    fields = held.attributes()
    described, stored = fields.get("state_dict_metadata"), fields.get("storage_data")
    if not isinstance(described, dict) or not isinstance(stored, dict):
        manifest.problems.append("state_dict_metadata, storage_data: expected a dict each")
        return manifest
    places = _parse_places(stored, manifest.problems)
    for name, record in described.items():
        if not isinstance(name, str) or not is_text(name) or len(name) > MAX_NAME:
            manifest.problems.append(f"{shown(name)}: expected a name of at most {MAX_NAME:,} characters")
        elif problem := _add(manifest, name, record, places):
            manifest.problems.append(f"{shown(name)}: {problem}")
    _parse_paths(manifest, fields.get("planner_data"))
    return manifest


def shown(value: object) -> str:
    """Return what a file says in a form that is safe to print: escaped, and of bounded length."""
    if isinstance(value, str | int | float | bool | None):
        text = ascii(value) if not isinstance(value, str) else ascii(value[:100])
        return text[:120]
    return f"a {type(value).__name__}"


def _add(
    manifest: Manifest, name: str, record: object, places: Mapping[tuple[str, tuple[int, ...] | None], Place]
) -> str | None:
    """Add what one name stands for; return what is wrong with it."""
    kind = record.name if isinstance(record, Record) else ""
    if kind == f"{_METADATA}.BytesStorageMetadata":
        place = places.get((name, None))
        if place is None:
            return "nothing says where it is stored"
        manifest.values[name] = place
        return None
    if not isinstance(record, Record) or kind != f"{_METADATA}.TensorStorageMetadata":
        return "expected the description of a tensor or of a value"
    fields = record.attributes()
    dtype, size, chunks = (
        _dtype_of(fields.get("properties")),
        extent(fields.get("size")),
        fields.get("chunks"),
    )
    if dtype is None or size is None or not isinstance(chunks, list):
        return "expected a dtype, a size and a list of chunks"
    boxes = _boxes(chunks)
    if boxes is None:
        return "expected chunks with offsets and sizes, whole numbers from 0 on"
    if problem := tiling_problem(size, boxes):
        return problem
    found = [Chunk(*box, place) for box in boxes if (place := places.get((name, box[0])))]
    if len(found) < len(boxes):
        return f"nothing says where {len(boxes) - len(found):,} of its {len(boxes):,} chunks are stored"
    manifest.tensors[name] = ChunkedTensor(dtype, size, tuple(found))
    return None


def _boxes(chunks: list[Any]) -> list[tuple[tuple[int, ...], tuple[int, ...]]] | None:
    """Return where each chunk is that has elements; each place is said once, whoever wrote it too."""
    boxes: dict[tuple[tuple[int, ...], tuple[int, ...]], None] = {}
    for chunk in chunks:
        fields = chunk.attributes() if isinstance(chunk, Record) else {}
        offsets, sizes = extent(fields.get("offsets")), extent(fields.get("sizes"))
        if offsets is None or sizes is None:
            return None
        if math.prod(sizes):
            boxes[(offsets, sizes)] = None
    return list(boxes)


def extent(value: object) -> tuple[int, ...] | None:
    """Return offsets or sizes, None where they are no whole numbers from 0 on, or too many."""
    if isinstance(value, Record) and value.name == "torch.Size" and len(value.arguments) == 1:
        value = value.arguments[0]
    if not isinstance(value, tuple | list) or len(value) > MAX_AXES:
        return None
    return tuple(value) if all(_is_count(each) for each in value) else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _dtype_of(properties: object) -> torch.dtype | None:
    """Return the dtype of TensorProperties, whose state is a tuple: dtype, layout, requires_grad …"""
    state = properties.state if isinstance(properties, Record) else None
    first = state[0] if isinstance(state, tuple) and state else None
    if isinstance(first, torch.dtype):
        return first
    name = str(getattr(first, "name", ""))
    found = getattr(torch, name.removeprefix("torch."), None) if name.startswith("torch.") else None
    return found if isinstance(found, torch.dtype) else None


def _parse_places(
    stored: Mapping[Any, Any], problems: list[str]
) -> dict[tuple[str, tuple[int, ...] | None], Place]:
    places: dict[tuple[str, tuple[int, ...] | None], Place] = {}
    for index, info in stored.items():
        key = index.attributes() if isinstance(index, Record) else {}
        name, offset = key.get("fqn"), key.get("offset")
        at = None if offset is None else extent(offset)
        if not isinstance(name, str) or (at is None and offset is not None):
            problems.append("storage_data: expected a name, and an offset of whole numbers, for each item")
            break
        place, problem = _place(info)
        if place is None:
            problems.append(f"{shown(name)}: {problem}")
        else:
            places[(name, at)] = place
    return places


def _place(info: object) -> tuple[Place | None, str]:
    fields = info.attributes() if isinstance(info, Record) and info.name in _STORED else {}
    file, start, length = fields.get("relative_path"), fields.get("offset"), fields.get("length")
    if not isinstance(file, str) or not _is_count(start) or not _is_count(length):
        return None, "expected a file, an offset and a length for what is stored"
    if file in ("", ".", "..") or any(mark in file for mark in ("/", "\\", "\0")):
        return None, f"is said to be in {shown(file)}; expected the plain name of a file beside .metadata"
    if transforms := fields.get("transform_descriptors"):
        named = ", ".join(map(shown, transforms)) if isinstance(transforms, list | tuple) else "some"
        return None, f"was written through extensions ({named[:200]}); save it without them"
    assert isinstance(start, int) and isinstance(length, int)  # noqa: S101, PT018 - `_is_count` says so
    return Place(file, start, length), ""


def _parse_paths(manifest: Manifest, planner_data: object) -> None:
    """Take the paths that a planner flattened the names from; one that flattened nothing says none."""
    if not isinstance(planner_data, dict):
        return
    for name, path in planner_data.items():
        if not isinstance(name, str) or not isinstance(path, tuple | list):  # another planner's own data
            continue
        if not 0 < len(path) <= MAX_DEPTH or not all(isinstance(key, str) or _is_count(key) for key in path):
            manifest.problems.append(
                f"{shown(name)}: expected a path of at most {MAX_DEPTH} names and places"
            )
            continue
        manifest.paths[name] = tuple(path)
