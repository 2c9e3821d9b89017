"""A multi-layer perceptron of any depth, with optional dropout and normalisation."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from statehouse.models.architecture import ArchitectureConfig, register_architecture

Size = Annotated[int, Field(gt=0, le=1_000_000)]
Activation = Literal["relu", "gelu", "tanh"]
Normalisation = Literal["none", "batch", "layer"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
_NORMALISATIONS: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class MlpConfig(ArchitectureConfig):
    """`hidden_sizes` may be empty: then the network is one linear layer."""

    input_size: Size
    hidden_sizes: list[Size] = Field(max_length=1000)
    output_size: Size
    activation: Activation = "relu"
    normalisation: Normalisation = "none"
    dropout: float = Field(default=0.0, ge=0, lt=1)


@register_architecture("mlp", config=MlpConfig, input_shape=lambda config: (config.input_size,))
class Mlp(nn.Module):
    """(N, input_size) to (N, output_size)."""

    def __init__(
        self,
        input_size: int,
        hidden_sizes: list[int],
        output_size: int,
        activation: Activation = "relu",
        normalisation: Normalisation = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [input_size, *hidden_sizes]
        blocks: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            blocks += _block(width_in, width_out, activation, normalisation, dropout)
        self.layers = nn.Sequential(*blocks, nn.Linear(widths[-1], output_size))

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (N, output_size) of x (N, input_size)."""
        output: Tensor = self.layers(x)
        return output


def _block(
    width_in: int, width_out: int, activation: Activation, normalisation: Normalisation, dropout: float
) -> list[nn.Module]:
    block: list[nn.Module] = [nn.Linear(width_in, width_out)]
    if normalisation != "none":
        block.append(_NORMALISATIONS[normalisation](width_out))
    block.append(_ACTIVATIONS[activation]())
    if dropout:
        block.append(nn.Dropout(dropout))
    return block
