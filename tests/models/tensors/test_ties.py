from __future__ import annotations

import pytest
import torch
from torch import nn

from statehouse.models.errors import StateDictError
from statehouse.models.tensors.state_dict import apply, fit
from statehouse.models.tensors.ties import memory_key, tie, tied_names


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


def test_tied_names_and_tying_them_again():
    module = Tied()
    assert tied_names(module) == [["embed.weight", "head.weight"]]
    ties = tied_names(module)
    module.head.weight = nn.Parameter(torch.zeros(5, 3))
    assert tied_names(module) == []
    tie(module, ties)
    assert module.head.weight is module.embed.weight


def test_one_of_the_tied_names_is_enough():
    values = torch.arange(15.0).reshape(5, 3)
    module = Tied()
    assert apply(module, {"head.weight": values}).ok
    assert torch.equal(module.embed.weight, values)


def test_tied_names_with_different_values_are_refused():
    module = Tied()
    given = {"embed.weight": torch.zeros(5, 3), "head.weight": torch.ones(5, 3)}
    assert fit(module, given)[1].different_ties == (("embed.weight", "head.weight"),)
    with pytest.raises(
        StateDictError, match=r"tied in the module, different here: embed\.weight and head\.w"
    ):
        apply(module, given)


def test_equal_values_in_different_memory_are_fine():
    assert apply(Tied(), {"embed.weight": torch.ones(5, 3), "head.weight": torch.ones(5, 3)}).ok


def test_tensors_without_elements_share_no_memory():
    assert memory_key(torch.empty(0)) != memory_key(torch.empty(0))
