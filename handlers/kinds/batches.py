"""What a module returned for groups of rows, in the batch's order again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from statehouse.handlers.errors import MalformedRequestError
from statehouse.handlers.kinds.grouping import RowGroup


@dataclass(frozen=True)
class Given:
    """What the module returned for the rows at `places` of a batch, by output."""

    group: RowGroup
    tensors: Mapping[str, Tensor]


def in_order(parts: Sequence[tuple[RowGroup, Tensor]], shape: Sequence[Any]) -> Tensor | list[Tensor]:
    """The rows of all groups in the batch's order: one tensor where they are of one size, else one a row."""
    cut = [group.own(tensor, shape) for group, tensor in parts]
    whole = [each for each in cut if isinstance(each, Tensor)]
    if len(whole) == len(cut) and len({each.shape[1:] for each in whole}) == 1:
        order = np.argsort(np.concatenate([group.places for group, _ in parts]), kind="stable")
        return torch.cat(whole)[torch.from_numpy(order).to(whole[0].device)] if len(whole) > 1 else whole[0]
    rows: dict[int, Tensor] = {}
    for (group, _), each in zip(parts, cut, strict=True):
        rows |= dict(zip(group.places, each, strict=True))
    return [rows[place] for place in sorted(rows)]


def stacked(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """One array of an output whose rows have one each; raises MalformedRequestError where their sizes differ."""
    if array.dtype != object or not len(array) or not isinstance(array[0], np.ndarray):
        return array
    if len({each.shape for each in array}) > 1:
        raise MalformedRequestError(
            f"Output {name!r} has another size in each row, which is no tensor; send one row in a request, or JSON."
        )
    return np.stack(list(array))
