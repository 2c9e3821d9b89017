"""The network that tutorials save: two linear layers with a ReLU between them."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from statehouse.models.architecture import ArchitectureConfig, register_architecture


class SimpleNetConfig(ArchitectureConfig):
    """Sizes of the three layers of units."""

    input_size: int = Field(gt=0, le=1_000_000)
    hidden_size: int = Field(gt=0, le=1_000_000)
    num_classes: int = Field(gt=0, le=1_000_000)


@register_architecture("simple_net", config=SimpleNetConfig, input_shape=lambda config: (config.input_size,))
class SimpleNet(nn.Module):
    """`fc2(relu(fc1(x)))`: (N, input_size) to (N, num_classes)."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.fc2 = nn.Linear(hidden_size, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, input_size)."""
        output: Tensor = self.fc2(self.fc1(x).relu())
        return output
