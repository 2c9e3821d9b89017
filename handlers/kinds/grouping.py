"""Rows of one size together: what a module can compute in one pass, filled up where a signature says how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from statehouse.handlers.kinds.contract import Filling

SHORTEST_SHARE = 0.6  # of the longest row that it is filled up to: filling is computed like any number


@dataclass(frozen=True, slots=True)
class Row:
    """One row: arrays by argument of `forward`, and the sizes of its named free dimensions."""

    arrays: Mapping[str, NDArray[Any]]
    sizes: Mapping[str, int]

    @property
    def nbytes(self) -> int:
        """What its arrays take."""
        return sum(array.nbytes for array in self.arrays.values())


@dataclass
class RowGroup:
    """Rows that go through the module together: their places in the batch, and arrays with an axis that counts them."""

    places: list[int]
    arrays: dict[str, NDArray[Any]]
    sizes: list[Mapping[str, int]]
    left: bool = False  # where the filling is
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def own(self, output: Tensor, shape: Sequence[Any]) -> Tensor | list[Tensor]:
        """The rows of an output without what answers filling, along the dimensions that `shape` names."""
        cuts = [
            (axis, name)
            for axis, name in enumerate(shape)
            if isinstance(name, str) and len({sizes.get(name) for sizes in self.sizes}) > 1
        ]
        if not cuts:
            return output
        return [self._cut(row, sizes, cuts) for row, sizes in zip(output, self.sizes, strict=True)]

    def _cut(self, row: Tensor, sizes: Mapping[str, int], cuts: Sequence[tuple[int, str]]) -> Tensor:
        for axis, name in cuts:
            if name in sizes and axis < row.ndim:
                size = sizes[name]
                row = row.narrow(axis, row.shape[axis] - size if self.left else 0, size)
        return row


def grouped(rows: Sequence[Row], fillings: Mapping[str, Filling], most: int) -> list[RowGroup]:
    """Groups of at most `most` rows. Those of unequal sizes share one only along axes that `fillings` name."""
    alike: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        alike.setdefault(_key(row, fillings), []).append(place)
    return [
        _group(rows, part, fillings)
        for places in alike.values()
        for part in _parts(rows, places, fillings, most)
    ]


def _key(row: Row, fillings: Mapping[str, Filling]) -> Any:  # noqa: ANN401 - what rows of one group have in common
    return tuple(
        (name, tuple(-1 if axis in _axes(fillings, name) else size for axis, size in enumerate(array.shape)))
        for name, array in row.arrays.items()
    )


def _axes(fillings: Mapping[str, Filling], name: str) -> tuple[int, ...]:
    return fillings[name].axes if name in fillings else ()


def _parts(
    rows: Sequence[Row], places: Sequence[int], fillings: Mapping[str, Filling], most: int
) -> list[list[int]]:
    """Parts of like sizes, the largest rows first."""

    def size(place: int) -> int:
        return sum(rows[place].arrays[name].size for name in fillings if name in rows[place].arrays)

    ordered = sorted(places, key=lambda place: -size(place)) if fillings else list(places)
    parts: list[list[int]] = []
    for place in ordered:
        begins = not parts or len(parts[-1]) == most
        if begins or (fillings and size(place) < SHORTEST_SHARE * size(parts[-1][0])):
            parts.append([])
        parts[-1].append(place)
    return parts


def _group(rows: Sequence[Row], places: list[int], fillings: Mapping[str, Filling]) -> RowGroup:
    arrays = {
        name: _together([rows[place].arrays[name] for place in places], fillings.get(name))
        for name in rows[places[0]].arrays
    }
    left = any(filling.left for filling in fillings.values())
    return RowGroup(places, arrays, [rows[place].sizes for place in places], left)


def _together(arrays: Sequence[NDArray[Any]], filling: Filling | None) -> NDArray[Any]:
    if filling is None or len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    shape = tuple(max(sizes) for sizes in zip(*(array.shape for array in arrays), strict=True))
    filled = np.full((len(arrays), *shape), filling.value, arrays[0].dtype)
    for place, array in enumerate(arrays):
        at = tuple(
            slice(most - size, most) if filling.left else slice(0, size)
            for size, most in zip(array.shape, shape, strict=True)
        )
        filled[(place, *at)] = array
    return filled
