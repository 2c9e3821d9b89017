"""Parts that are a tensor, and such that are not."""

from __future__ import annotations

import pytest

from statehouse.models.storage.distributed.tiling import Box, tiling_problem

GRID = [((row, column), (2, 3)) for row in (0, 2) for column in (0, 3)]


@pytest.mark.parametrize(
    ("size", "boxes"),
    [
        ((), [((), ())]),
        ((0, 3), []),
        ((4,), [((0,), (4,))]),
        ((4, 6), GRID),
        ((4, 6), GRID[::-1]),
        ((4, 6), [((0, 0), (1, 6)), ((1, 0), (3, 2)), ((1, 2), (3, 4))]),  # each row cut in its own way
        ((3,), [((0,), (2,)), ((2,), (1,)), ((3,), (0,))]),  # a process without a part
        ((2, 2, 2), [((0, 0, k), (2, 2, 1)) for k in (0, 1)]),
        ((70_000,), [((index,), (1,)) for index in range(70_000)]),
    ],
)
def test_parts_that_are_the_tensor(size: tuple[int, ...], boxes: list[Box]) -> None:
    assert tiling_problem(size, boxes) is None


@pytest.mark.parametrize(
    ("size", "boxes", "words"),
    [
        ((4,), [], "leave out 4 of 4"),
        ((4, 6), GRID[1:], "leave out 6 of 24"),
        ((4,), [((0,), (2,)), ((1,), (3,))], "over each other"),
        ((4,), [((0,), (4,)), ((0,), (4,))], "over each other"),
        ((4, 6), [((0, 0), (3, 4)), ((2, 3), (2, 3))], "over each other"),
        ((4,), [((2,), (3,))], "ends outside [4]"),
        ((4,), [((9,), (0,))], "ends outside [4]"),
        ((4, 6), [((0,), (4,))], "other axes"),
        ((), [((), ()), ((), ())], "over each other"),
        # Around a hole, each past the end of the next: no cut parts them, and nothing is sharded so.
        (
            (3, 3),
            [((0, 0), (2, 1)), ((0, 1), (1, 2)), ((1, 2), (2, 1)), ((2, 0), (1, 2)), ((1, 1), (1, 1))],
            "around each other",
        ),
    ],
)
def test_parts_that_are_not(size: tuple[int, ...], boxes: list[Box], words: str) -> None:
    problem = tiling_problem(size, boxes)
    assert problem is not None
    assert words in problem
