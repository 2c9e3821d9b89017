"""The index as it is stored: each group is a list of pairs (name, shape), and each pair is stored once.

Names, shapes and pairs are numbered as they first occur, so that most of a group is a run of numbers, and small when
compressed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statehouse.models.libraries.index.group import Difference

Shape = tuple[int, ...]
Numbers = NDArray[np.int32]

FILE = Path(__file__).with_name("tensors.npz")


@dataclass(frozen=True)
class Entry:
    """One group: its architectures and what they differ in; `classes` is how many it was built with.

    `task` is what its builder says that it is for, where an endpoint has that.
    """

    architectures: tuple[str, ...]
    classes: int | None = None
    task: str | None = None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Index:
    """All groups, and which libraries they are of; `pairs` of entry n begin at `starts[n]`."""

    libraries: Mapping[str, str]  # version by name
    unbuilt: Mapping[str, str]  # why an architecture is not in it
    entries: tuple[Entry, ...]
    names: tuple[str, ...]
    shapes: tuple[str, ...]  # "64,3,7,7"
    pair_names: Numbers
    pair_shapes: Numbers
    pairs: Numbers
    starts: Numbers

    @cached_property
    def number_of_name(self) -> dict[str, int]:
        """The number of each name."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def number_of_shape(self) -> dict[str, int]:
        """The number of each shape."""
        return {shape: number for number, shape in enumerate(self.shapes)}

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """One number for each pair."""
        return self.pair_names.astype(np.int64) * len(self.shapes) + self.pair_shapes

    @cached_property
    def sizes(self) -> Numbers:
        """How many tensors each entry has."""
        return np.diff(np.append(self.starts, len(self.pairs))).astype(np.int32)

    def tensors(self, entry: int) -> dict[str, Shape]:
        """Return names and shapes of an entry, in the order of its state_dict."""
        start = int(self.starts[entry])
        pairs = self.pairs[start : start + int(self.sizes[entry])]
        names, shapes = self.pair_names[pairs].tolist(), self.pair_shapes[pairs].tolist()
        return {
            self.names[name]: _shape(self.shapes[shape]) for name, shape in zip(names, shapes, strict=True)
        }


def written(shape: Iterable[int]) -> str:
    """Return a shape as it is stored."""
    return ",".join(map(str, shape))


def _shape(text: str) -> Shape:
    return tuple(map(int, text.split(","))) if text else ()


@dataclass
class _Numbered:
    """Values, numbered as they first occur."""

    numbers: dict[Any, int] = field(default_factory=dict)

    def __getitem__(self, value: object) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


def make_index(
    groups: Iterable[tuple[Entry, Mapping[str, Shape]]],
    libraries: Mapping[str, str],
    unbuilt: Mapping[str, str],
) -> Index:
    """Number the tensors of all groups."""
    names, shapes, pairs = _Numbered(), _Numbered(), _Numbered()
    entries: list[Entry] = []
    numbers: list[int] = []
    starts: list[int] = []
    for entry, tensors in groups:
        entries.append(entry)
        starts.append(len(numbers))
        numbers += [pairs[names[name], shapes[written(shape)]] for name, shape in tensors.items()]
    columns = np.array(list(pairs.numbers), np.int32).reshape(-1, 2)
    return Index(
        dict(libraries),
        dict(unbuilt),
        tuple(entries),
        tuple(names.numbers),
        tuple(shapes.numbers),
        columns[:, 0],
        columns[:, 1],
        np.array(numbers, np.int32),
        np.array(starts, np.int32),
    )


def write_index(index: Index, path: Path = FILE) -> None:
    """Write the index; the same index gives the same bytes."""
    said = {
        "libraries": index.libraries,
        "unbuilt": index.unbuilt,
        "entries": [_plain(entry) for entry in index.entries],
        "names": index.names,
        "shapes": index.shapes,
    }
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            said=np.frombuffer(text.encode(), np.uint8),
            pair_names=_steps(index.pair_names),
            pair_shapes=_steps(index.pair_shapes),
            pairs=_steps(index.pairs),
            starts=_steps(index.starts),
        )


@cache
def read_index(path: Path = FILE) -> Index:
    """Read the index once; it is part of the package."""
    with np.load(path, allow_pickle=False) as file:
        said = json.loads(file["said"].tobytes())
        columns = {
            name: np.cumsum(file[name], dtype=np.int32)
            for name in ("pair_names", "pair_shapes", "pairs", "starts")
        }
    return Index(
        said["libraries"],
        said["unbuilt"],
        tuple(map(_entry, said["entries"])),
        tuple(said["names"]),
        tuple(said["shapes"]),
        **columns,
    )


def _steps(numbers: Numbers) -> Numbers:
    return np.diff(numbers, prepend=np.int32(0)).astype(np.int32)


def _plain(entry: Entry) -> list[Any]:
    """Return an entry as JSON: differences name architectures by their place."""
    place = {name: number for number, name in enumerate(entry.architectures)}
    differences = [
        [each.what, {value: [place[name] for name in names] for value, names in each.values.items()}]
        for each in entry.differences
    ]
    return [entry.architectures, entry.classes, entry.task, differences]


def _entry(plain: list[Any]) -> Entry:
    names, classes, task, differences = plain
    return Entry(
        tuple(names),
        classes,
        task,
        tuple(
            Difference(
                what, {value: tuple(names[place] for place in places) for value, places in values.items()}
            )
            for what, values in differences
        ),
    )
