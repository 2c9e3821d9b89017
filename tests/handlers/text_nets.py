"""Small modules that take texts, and the tokenizer of a few words that goes with them."""

import tokenizers
import torch
from torch import Tensor, nn

from statehouse.models import register_architecture

WORDS = ["red", "green", "blue", "house", "tree", "sky", "in", "the", "is", "grün", "."]
VOCABULARY = {word: index for index, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS])}


def tokenizer(*, special: bool = True, unknown: bool = True, more_words: int = 0) -> str:
    """A tokenizer.json: whole words, [CLS] before and [SEP] behind them."""
    vocabulary = VOCABULARY | {f"word{index}": len(VOCABULARY) + index for index in range(more_words)}
    token = {"unk_token": "[UNK]"} if unknown else {"unk_token": "no such token"}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, **token))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if special:
        made.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    return made.to_str()


@register_architecture("token_vectors")
class TokenVectors(nn.Module):
    """A vector per token, mixed with its neighbours' as an encoder would; rows beyond `positions` are refused."""

    def __init__(self, size: int, vocabulary_size: int = len(VOCABULARY), positions: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, size)
        self.position = nn.Embedding(positions, size)
        self.mix = nn.Linear(size, size)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embedding

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(2)
        vectors = self.embedding(input_ids) + self.position(torch.arange(input_ids.shape[1]))
        mean = (vectors * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        mixed: Tensor = self.mix(vectors + mean)
        return mixed


@register_architecture("only_ids")
class OnlyIds(nn.Module):
    """Takes no mask, and gives one vector per text; has no way to say which embedding it has."""

    def __init__(self, size: int, vocabulary_size: int = len(VOCABULARY)) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary_size, size)

    def forward(self, input_ids: Tensor) -> Tensor:
        vectors: Tensor = self.words(input_ids).amax(dim=1)
        return vectors
