"""Buffers that a module makes itself: made where they are missing, left out where they are needless, else neither."""

from __future__ import annotations

import torch
from torch import nn

from statehouse.models.tensors.own_buffers import makeable, needless


class Buffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("position_ids", torch.arange(4).expand(1, -1))
        self.register_buffer("token_type_ids", torch.zeros(1, 4, dtype=torch.long))
        self.register_buffer("mask", torch.ones(2), persistent=False)


def test_the_known_ones_are_made_as_the_module_has_them():
    names = ["norm.num_batches_tracked", "position_ids", "token_type_ids"]
    made = makeable(Buffers(), names)
    assert list(made) == names
    assert made["position_ids"].tolist() == [[0, 1, 2, 3]]


def test_results_of_training_are_never_made():
    assert makeable(Buffers(), ["norm.running_mean", "norm.weight", "mask", "absent"]) == {}


def test_a_known_name_with_other_values_is_not_known():
    module = Buffers()
    module.norm.num_batches_tracked += 1
    module.position_ids = torch.tensor([[1, 2, 3, 4]])
    module.token_type_ids = torch.zeros(1, 4)  # no integers
    assert makeable(module, ["norm.num_batches_tracked", "position_ids", "token_type_ids"]) == {}
    module.position_ids = torch.tensor(0)  # nothing to count along
    assert makeable(module, ["position_ids"]) == {}


def test_a_buffer_without_values_is_not_made():
    module = Buffers()
    module.position_ids = module.position_ids.to("meta")
    assert makeable(module, ["position_ids"]) == {}
    assert needless(module, {"position_ids": torch.arange(4).expand(1, -1)}) == []


def test_counters_and_equal_values_are_needless():
    given = {
        "anything.num_batches_tracked": torch.tensor(9),
        "mask": torch.ones(2),
        "unknown": torch.ones(2),
    }
    assert needless(Buffers(), given) == ["anything.num_batches_tracked", "mask"]


def test_nearly_equal_values_have_a_part_in_the_answers():
    for other in (torch.zeros(2), torch.ones(3), torch.ones(2, dtype=torch.float64)):
        assert needless(Buffers(), {"mask": other}) == []
