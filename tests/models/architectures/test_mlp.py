"""The perceptron: its layers as its config says them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from statehouse.models import build_model
from statehouse.models.architecture import get_architecture, validate_config
from statehouse.models.errors import ArchitectureConfigError

CONFIG = {"input_size": 4, "hidden_sizes": [6, 5], "output_size": 2}


def kinds(**more):
    return [type(layer) for layer in build_model("mlp", CONFIG | more).layers]


def test_rows_to_outputs():
    net = build_model("mlp", CONFIG)
    assert net(torch.zeros(3, 4)).shape == (3, 2)
    assert [layer.out_features for layer in net.layers if isinstance(layer, nn.Linear)] == [6, 5, 2]
    assert get_architecture("mlp").input_shape(validate_config("mlp", CONFIG)) == (4,)


def test_without_hidden_sizes_it_is_one_linear_layer():
    assert kinds(hidden_sizes=[]) == [nn.Linear]


def test_a_block_has_what_is_asked_for_in_its_order():
    assert kinds() == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert kinds(hidden_sizes=[6], activation="gelu", normalisation="batch", dropout=0.1) == [
        *(nn.Linear, nn.BatchNorm1d, nn.GELU, nn.Dropout, nn.Linear)
    ]
    assert kinds(hidden_sizes=[6], activation="tanh", normalisation="layer") == [
        *(nn.Linear, nn.LayerNorm, nn.Tanh, nn.Linear)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_sizes": [0]}, {"hidden_sizes": [1] * 1001}, {"activation": "sigmoid"}, {"normalisation": "group"},
        {"dropout": -0.1}, {"input_size": 1_000_001},
    ],
)  # fmt: skip
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(ArchitectureConfigError, match=next(iter(wrong))):
        build_model("mlp", CONFIG | wrong)
