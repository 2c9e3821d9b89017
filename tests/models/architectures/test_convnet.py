"""The convolutional classifier: its shapes, and sizes that it refuses."""

from __future__ import annotations

import pytest
import torch

from statehouse.models import build_model
from statehouse.models.architecture import get_architecture, validate_config
from statehouse.models.errors import ArchitectureConfigError

CONFIG = {"in_channels": 3, "height": 9, "width": 8, "num_classes": 5, "channels": [2, 4]}


def test_images_to_logits():
    net = build_model("convnet", CONFIG).eval()
    assert net(torch.zeros(2, 3, 9, 8)).shape == (2, 5)
    assert net.classifier.in_features == 4 * 2 * 2
    config = validate_config("convnet", CONFIG)
    assert get_architecture("convnet").input_shape(config) == (3, 9, 8)


def test_there_are_two_blocks_unless_told_otherwise():
    assert validate_config("convnet", {k: v for k, v in CONFIG.items() if k != "channels"}).channels == [
        32,
        64,
    ]


@pytest.mark.parametrize(("height", "width"), [(3, 8), (8, 3)])
def test_each_block_halves_the_image_until_nothing_is_left(height, width):
    with pytest.raises(ArchitectureConfigError, match="2 blocks need 4 or more each: list fewer channels"):
        build_model("convnet", CONFIG | {"height": height, "width": width})
    assert build_model("convnet", CONFIG | {"height": 4, "width": 4})


@pytest.mark.parametrize(
    "wrong", [{"channels": []}, {"channels": [0]}, {"dropout": 1.0}, {"num_classes": 0}, {"height": 0}]
)
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(ArchitectureConfigError, match=next(iter(wrong))):
        build_model("convnet", CONFIG | wrong)


def test_dropout_is_for_training_alone():
    net = build_model("convnet", CONFIG | {"dropout": 0.5})
    images = torch.randn(2, 3, 9, 8)
    net.eval()
    assert torch.equal(net(images), net(images))
    assert net.dropout.p == 0.5
