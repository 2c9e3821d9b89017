"""How well a file's names and shapes fit each group of the index: all of them roughly, then the best exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from statehouse.models.libraries.index.group import Group
from statehouse.models.libraries.index.prefixes import without_prefixes
from statehouse.models.libraries.index.stored import Index, Shape, read_index, written

LOOKED_AT = 24  # groups that are compared exactly, for each prefix
MOST = 5  # groups that are returned
LOWEST_SCORE = 0.5
WITHIN = 0.1  # of the best score: what is further is no candidate
# What one tensor counts for, of 1 where name and shape are equal.
EXPLAINED = 0.95  # by the number of classes or of channels
SAME_NAME = 0.4
HEAD_GONE = 0.5  # its classifier has another name
MOST_CHANNELS = 64
MOST_STEMS = 4  # tensors that a number of channels may change
COUNTERS = "num_batches_tracked"  # old files have none


class HasShape(Protocol):
    """A tensor, or what is known of it."""

    @property
    def shape(self) -> Sequence[int]:
        """Its sizes."""


@dataclass(frozen=True)
class _Sizes:
    """A number that another one explains, and the tensors whose shapes it explains."""

    number: int | None = None
    names: frozenset[str] = frozenset()


def candidates(tensors: Mapping[str, HasShape | Sequence[int]], *, most: int = MOST) -> list[Group]:
    """Return the groups whose names and shapes a state_dict has, best first; none where nothing is near.

    Another number of classes or of channels, another head and a common prefix are allowed for. It takes no module
    and imports no library.
    """
    shapes = {name: _shape(each) for name, each in tensors.items() if not name.endswith(COUNTERS)}
    best: dict[int, Group] = {}
    for prefix, left in without_prefixes(shapes):
        for entry, group in _near(read_index(), left, prefix):
            if entry not in best or group.score > best[entry].score:
                best[entry] = group
    ranked = sorted(best.values(), key=lambda group: (-group.score, group.architectures))
    return _worth_telling(ranked)[:most]


def _shape(of: HasShape | Sequence[int]) -> Shape:
    return tuple(of if isinstance(of, Sequence) else of.shape)


def _worth_telling(ranked: list[Group]) -> list[Group]:
    fitting = [group for group in ranked if group.fits]
    lowest = max(LOWEST_SCORE, ranked[0].score - WITHIN) if ranked else 0
    return fitting or [group for group in ranked if group.score >= lowest]


def _near(index: Index, tensors: Mapping[str, Shape], prefix: str) -> Iterator[tuple[int, Group]]:
    for entry in _roughly_best(index, tensors):
        yield entry, _compare(index, entry, tensors, prefix)


def _roughly_best(index: Index, tensors: Mapping[str, Shape]) -> list[int]:
    """Return the entries that share most names, and most shapes with them."""
    names = {
        index.number_of_name[name]: shape for name, shape in tensors.items() if name in index.number_of_name
    }
    if not names:
        return []
    wanted = [
        name * len(index.shapes) + index.number_of_shape[written(shape)]
        for name, shape in names.items()
        if written(shape) in index.number_of_shape
    ]
    named = np.zeros(len(index.names), bool)
    named[list(names)] = True
    same_name = _counted(index, named[index.pair_names])
    same = _counted(index, np.isin(index.keys, np.array(wanted, np.int64)))
    scores = (same + SAME_NAME * (same_name - same)) / (index.sizes + len(tensors) - same_name)
    order = np.argsort(-scores, kind="stable")[:LOOKED_AT]
    return [int(entry) for entry in order if scores[entry] > 0]


def _counted(index: Index, of_pair: np.ndarray) -> np.ndarray:
    """Return how many of its pairs each entry has of those that are marked."""
    counted: np.ndarray = np.add.reduceat(of_pair[index.pairs].astype(np.int32), index.starts)
    return counted


def _compare(index: Index, entry: int, tensors: Mapping[str, Shape], prefix: str) -> Group:
    stored, theirs = index.entries[entry], index.tensors(entry)
    other = {
        name: (shape, tensors[name]) for name, shape in theirs.items() if tensors.get(name, shape) != shape
    }
    classes = _classes(other, stored.classes)
    channels = _channels({name: both for name, both in other.items() if name not in classes.names})
    missing = [name for name in theirs if name not in tensors]
    unexpected = [name for name in tensors if name not in theirs]
    heads = [name for name in missing if _is_head(theirs[name], stored.classes)]
    gone = bool(missing) and len(heads) == len(missing)
    explained = classes.names | channels.names
    reshaped = [name for name in other if name not in explained]
    same = len(theirs) - len(missing) - len(other)
    counted = same + EXPLAINED * len(explained) + SAME_NAME * len(reshaped) + HEAD_GONE * gone * len(heads)
    has_head = any(_is_head(shape, stored.classes) for name, shape in theirs.items() if name in tensors)
    headless = gone and not has_head and not unexpected
    return Group(
        stored.architectures,
        counted / (len(theirs) + len(unexpected)),
        same + len(explained),
        len(theirs) + len(unexpected),
        num_classes=0 if headless else classes.number,
        in_chans=channels.number,
        task=stored.task,
        prefix=prefix,
        missing=() if headless else tuple(missing),
        unexpected=tuple(unexpected),
        reshaped=tuple(reshaped),
        differences=stored.differences,
    )


def _is_head(shape: Shape, classes: int | None) -> bool:
    return bool(classes and shape and shape[0] >= classes and shape[0] % classes == 0)


def _classes(other: Mapping[str, tuple[Shape, Shape]], built_with: int | None) -> _Sizes:
    """Return the number of classes that explains most of the shapes whose first size alone is another.

    A detector has several rows for each class.
    """
    numbers = {
        name: ours[0] // (theirs[0] // built_with)
        for name, (theirs, ours) in other.items()
        if built_with and _only_differ_at(0, theirs, ours) and _is_whole(theirs[0], built_with, ours[0])
    }
    return _most_common(numbers)


def _channels(other: Mapping[str, tuple[Shape, Shape]]) -> _Sizes:
    """Return the number of channels, 3 in the index, that explains shapes whose second size alone is another."""
    numbers = {
        name: ours[1] // (theirs[1] // 3)
        for name, (theirs, ours) in other.items()
        if _only_differ_at(1, theirs, ours) and _is_whole(theirs[1], 3, ours[1])
    }
    numbers = {name: number for name, number in numbers.items() if number <= MOST_CHANNELS}
    return _most_common(numbers) if len(numbers) <= MOST_STEMS else _Sizes()


def _only_differ_at(place: int, first: Shape, second: Shape) -> bool:
    return (
        len(first) == len(second) > place
        and first[:place] == second[:place]
        and first[place + 1 :] == second[place + 1 :]
    )


def _is_whole(size: int, of: int, other: int) -> bool:
    """Whether `size` is some times `of`, and `other` as many times another number, at least 1."""
    return size >= of and size % of == 0 and other > 0 and other % (size // of) == 0


def _most_common(numbers: Mapping[str, int]) -> _Sizes:
    if not numbers:
        return _Sizes()
    [(number, _)] = Counter(numbers.values()).most_common(1)
    return _Sizes(number, frozenset(name for name, each in numbers.items() if each == number))
