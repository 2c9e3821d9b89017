"""The network that tutorials save, by the names that its tensors have there."""

from __future__ import annotations

import pytest
import torch

from statehouse.models import build_model
from statehouse.models.architecture import get_architecture, validate_config
from statehouse.models.errors import ArchitectureConfigError

CONFIG = {"input_size": 4, "hidden_size": 3, "num_classes": 2}


def test_it_is_two_linear_layers_with_a_relu_between_them():
    net = build_model("simple_net", CONFIG)
    state = net.state_dict()
    assert list(state) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    rows = torch.randn(5, 4)
    hidden = (rows @ state["fc1.weight"].T + state["fc1.bias"]).clamp(min=0)
    assert torch.allclose(net(rows), hidden @ state["fc2.weight"].T + state["fc2.bias"], atol=1e-6)
    assert get_architecture("simple_net").input_shape(validate_config("simple_net", CONFIG)) == (4,)


@pytest.mark.parametrize("name", CONFIG)
def test_every_size_is_at_least_one_and_bounded(name):
    for size in (0, 1_000_001, None, 1.5):
        with pytest.raises(ArchitectureConfigError, match=name):
            build_model("simple_net", CONFIG | {name: size})
