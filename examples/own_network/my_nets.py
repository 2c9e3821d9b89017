"""A network of one's own: one line makes it an architecture that checkpoints can name.

Its config is derived from the annotated arguments of `__init__`.
"""

from __future__ import annotations

from torch import Tensor, nn

from statehouse.models.architecture import register_architecture


@register_architecture("residual_mlp", input_shape=lambda config: (config.input_size,))
class ResidualMlp(nn.Module):
    """A perceptron whose blocks add to what they got: (N, input_size) to (N, output_size)."""

    def __init__(
        self, input_size: int, width: int, output_size: int, depth: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(input_size, width)
        self.blocks = nn.ModuleList(_block(width, dropout) for _ in range(depth))
        self.leave = nn.Linear(width, output_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, output_size) of x (N, input_size)."""
        hidden = self.enter(x)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        output: Tensor = self.leave(hidden)
        return output


def _block(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
