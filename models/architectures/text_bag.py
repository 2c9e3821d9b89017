"""A bag of tokens: their embeddings' mean and maximum through a small network, whatever their order."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from statehouse.models.architecture import ArchitectureConfig, register_architecture

Size = Annotated[int, Field(gt=0, le=10_000_000)]


class TextBagConfig(ArchitectureConfig):
    """`vocabulary_size` is that of the tokenizer; with `hidden_size` 0 the network is one linear layer."""

    vocabulary_size: Size
    embedding_size: Size
    output_size: Size
    hidden_size: int = Field(default=0, ge=0, le=1_000_000)
    dropout: float = Field(default=0.0, ge=0, lt=1)


@register_architecture("text_bag", config=TextBagConfig)
class TextBag(nn.Module):
    """Token ids and mask (N, tokens), int64, to (N, output_size)."""

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        output_size: int,
        hidden_size: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        width = 2 * embedding_size
        hidden = [nn.Linear(width, hidden_size), nn.ReLU()] if hidden_size else []
        self.layers = nn.Sequential(
            *hidden, nn.Dropout(dropout), nn.Linear(hidden_size or width, output_size)
        )

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the embedding that a tokenizer must fit."""
        return self.embedding

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return outputs (N, output_size); tokens whose mask is 0 have no part in them."""
        mask = attention_mask.unsqueeze(2).bool()
        vectors: Tensor = self.embedding(input_ids)
        mean = (vectors * mask).sum(dim=1) / mask.sum(dim=1)
        largest = vectors.masked_fill(~mask, torch.finfo(vectors.dtype).min).amax(dim=1)
        output: Tensor = self.layers(torch.cat([mean, largest], dim=1))
        return output
