from __future__ import annotations

from pathlib import Path

import pytest
import torch

from statehouse.models.errors import CheckpointContentError
from statehouse.models.tensors.storable import storable_tensors

PATH = Path("x.pt")


def test_a_view_does_not_take_its_whole_memory_along():
    large = torch.zeros(1000)
    stored = storable_tensors(PATH, {"a": large[:3]})
    assert stored["a"].untyped_storage().nbytes() == 12


def test_tied_tensors_stay_one_and_parameters_become_plain():
    weight = torch.nn.Parameter(torch.ones(2, 3))
    stored = storable_tensors(PATH, {"module.a": weight, "b": weight, "c": weight.t()})
    assert stored["a"] is stored["b"]
    assert stored["c"].is_contiguous()
    assert not stored["a"].requires_grad
    assert type(stored["a"]) is torch.Tensor


def test_every_tensor_that_cannot_be_stored_is_listed():
    state_dict = {
        "sparse": torch.eye(2).to_sparse(),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "meta": torch.empty(2, device="meta"),
        "number": 3,
        "fine": torch.ones(1),
    }
    with pytest.raises(CheckpointContentError) as caught:
        storable_tensors(PATH, state_dict)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "sparse",
        "nested",
        "meta",
        "number",
    ]
