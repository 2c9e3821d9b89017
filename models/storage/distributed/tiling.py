"""Whether the parts of a tensor are the tensor: none outside it, none over another, nothing left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = tuple[
    tuple[int, ...], tuple[int, ...]
]  # offsets, sizes: of each axis where it starts, and how far it goes


def tiling_problem(size: Sequence[int], boxes: Sequence[Box]) -> str | None:
    """Say why `boxes` are not a tensor of `size`, None where they are; boxes without elements do not count."""
    for offsets, sizes in boxes:
        if not len(offsets) == len(sizes) == len(size):
            return f"a part at {list(offsets)} of {list(sizes)} has other axes than {list(size)}"
        if any(start + count > end for start, count, end in zip(offsets, sizes, size, strict=True)):
            return f"the part at {list(offsets)} of {list(sizes)} ends outside {list(size)}"
    filled = [box for box in boxes if math.prod(box[1])]
    if filled and not _are_apart(filled, len(size)):
        return "its parts lie over each other, or around each other"
    missing = math.prod(size) - sum(math.prod(sizes) for _, sizes in filled)
    return f"its parts leave out {missing:,} of {math.prod(size):,} elements" if missing else None


def _are_apart(boxes: Sequence[Box], levels: int) -> bool:
    """Whether cuts through no box part all of them: along an axis, then each piece along another.

    Every way in which tensors are sharded is cut so, in as many levels as there are axes; that bounds the work.
    """
    if len(boxes) == 1:
        return True
    if not levels:
        return False
    for axis in range(len(boxes[0][0])):
        pieces = _cut(boxes, axis)
        if len(pieces) > 1:
            return all(_are_apart(piece, levels - 1) for piece in pieces)
    return False


def _cut(boxes: Sequence[Box], axis: int) -> list[list[Box]]:
    """Cut along one axis wherever no box is cut."""
    pieces: list[list[Box]] = []
    end = 0
    for box in sorted(boxes, key=lambda box: box[0][axis]):
        start = box[0][axis]
        if start >= end or not pieces:
            pieces.append([])
        pieces[-1].append(box)
        end = max(end, start + box[1][axis])
    return pieces
