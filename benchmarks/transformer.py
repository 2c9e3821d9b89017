"""A small transformer encoder over token ids: the benchmark's own architecture, registered as users register theirs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from statehouse.models.architecture import register_architecture


@register_architecture("token_encoder", input_shape=lambda config: (config.length,))
class TokenEncoder(nn.Module):
    """Token ids (N, length), int64, to logits (N, num_classes): the mean over the positions, classified."""

    def __init__(
        self, vocabulary: int, length: int, width: int, heads: int, layers: int, num_classes: int
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of ids x (N, length)."""
        hidden = self.layers(self.tokens(x) + self.positions)
        logits: Tensor = self.classifier(hidden.mean(dim=1))
        return logits
