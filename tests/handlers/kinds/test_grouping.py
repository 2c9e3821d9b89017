"""Which rows go through the module together, and how they are made equal."""

from __future__ import annotations

import numpy as np
import torch

from statehouse.handlers.kinds.contract import Filling
from statehouse.handlers.kinds.grouping import Row, grouped

FILLINGS = {"x": Filling((0,), -1.0)}


def rows(*lengths: int) -> list[Row]:
    return [Row({"x": np.arange(length, dtype=np.float32)}, {"time": length}) for length in lengths]


def places(groups: list) -> list[list[int]]:
    return [group.places for group in groups]


def test_unequal_rows_do_not_meet_without_a_filling() -> None:
    assert places(grouped(rows(2, 3, 2), {}, 8)) == [[0, 2], [1]]


def test_rows_of_like_lengths_are_filled_up_together_the_longest_first() -> None:
    groups = grouped(rows(10, 3, 9, 2), FILLINGS, 8)
    assert places(groups) == [[0, 2], [1, 3]]
    assert groups[1].arrays["x"].tolist() == [[0, 1, 2], [0, 1, -1]]


def test_a_group_has_no_more_rows_than_asked() -> None:
    assert places(grouped(rows(2, 2, 2), {}, 2)) == [[0, 1], [2]]


def test_filling_at_the_left_leaves_the_end() -> None:
    [group] = grouped(rows(2, 3), {"x": Filling((0,), 7.0, left=True)}, 8)
    assert group.arrays["x"].tolist() == [[0, 1, 2], [7, 0, 1]]
    long, short = group.own(torch.tensor([[1, 2, 3], [9, 4, 5]]), ["time"])
    assert (long.tolist(), short.tolist()) == ([1, 2, 3], [4, 5])


def test_what_answers_filling_is_cut_along_the_named_dimension_alone() -> None:
    [group] = grouped(rows(3, 2), FILLINGS, 8)
    output = torch.arange(12).reshape(2, 3, 2)
    assert group.own(output, [None, 2]) is output
    assert [list(each.shape) for each in group.own(output, ["time", 2])] == [[3, 2], [2, 2]]
