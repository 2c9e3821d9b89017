"""Parts to tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from statehouse.models.storage.distributed.assembly import ChunkError, assemble
from statehouse.models.storage.distributed.manifest import Chunk, ChunkedTensor, Place

CPU = torch.device("cpu")
WHOLE = torch.arange(24.0).view(4, 6)


def part(row: int, column: int, rows: int, columns: int) -> Chunk:
    return Chunk((row, column), (rows, columns), Place("f", 0, 0))


def of_whole(chunk: Chunk) -> Tensor:
    (row, column), (rows, columns) = chunk.offsets, chunk.sizes
    return WHOLE[row : row + rows, column : column + columns]


def test_parts_are_put_where_they_belong() -> None:
    parts = (part(0, 0, 3, 2), part(0, 2, 3, 4), part(3, 0, 1, 6))
    assert torch.equal(assemble(ChunkedTensor(torch.float32, (4, 6), parts), of_whole, CPU), WHOLE)


def test_one_part_that_is_all_is_not_copied() -> None:
    tensor = ChunkedTensor(torch.float32, (4, 6), (part(0, 0, 4, 6),))
    assert assemble(tensor, lambda _: WHOLE, CPU).data_ptr() == WHOLE.data_ptr()


def test_a_tensor_without_elements_needs_no_part() -> None:
    assert assemble(ChunkedTensor(torch.int8, (0, 3), ()), of_whole, CPU).shape == (0, 3)


@pytest.mark.parametrize("parts", [(part(0, 0, 4, 6),), (part(0, 0, 2, 6), part(2, 0, 2, 6))])
@pytest.mark.parametrize(
    ("held", "words"),
    [
        (WHOLE.double(), "torch.float64"),
        (WHOLE[:1], r"\[1, 6\]"),
        (WHOLE.flatten(), r"\[24\]"),
        ({"a": WHOLE}, "a dict; expected a tensor"),
        (WHOLE.to_sparse(), "sparse"),
        (WHOLE.to("meta"), "meta"),
    ],
)
def test_a_part_is_what_is_said_of_it(held: object, words: str, parts: tuple[Chunk, ...]) -> None:
    with pytest.raises(ChunkError, match=words):
        assemble(ChunkedTensor(torch.float32, (4, 6), parts), lambda _: held, CPU)
