"""A heavy network that decides in Python, for the tests that publish one: copied or found by its folder."""

import torch
from torch import nn

from statehouse import build_model, register_architecture

HEAVY = {"in_channels": 3, "height": 64, "width": 64, "num_classes": 2, "channels": [16, 32]}


@register_architecture("deciding_net", input_shape=lambda config: (3, 64, 64))
class DecidingNet(nn.Module):
    """A convnet whose answers are doubled or trebled, by a number of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = build_model("convnet", HEAVY)
        self.register_buffer("sign", torch.ones(()))

    def forward(self, x):
        return self.layers(x) * (2 if float(self.sign) > 0 else 3)
