"""What is known of a tensor without its bytes."""

from __future__ import annotations

import pytest
import torch

from statehouse.models.tensors.tensor_info import TensorInfo


@pytest.mark.parametrize(
    ("tensor", "told", "numel"),
    [
        (torch.zeros(2, 3), "float32 [2, 3]", 6),
        (torch.tensor(1), "int64 []", 1),
        (torch.zeros(0, 5, dtype=torch.bfloat16), "bfloat16 [0, 5]", 0),
        (torch.zeros(10**6, 10**6, device="meta"), "float32 [1000000, 1000000]", 10**12),
    ],
)
def test_its_kind_and_its_shape(tensor, told, numel):
    info = TensorInfo.of(tensor)
    assert (str(info), info.numel) == (told, numel)


def test_equal_ones_are_one():
    assert {TensorInfo.of(torch.zeros(2)), TensorInfo("float32", (2,))} == {TensorInfo("float32", (2,))}
