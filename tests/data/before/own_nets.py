"""Networks of a user's own, one each for the tasks that no built-in architecture fits."""

import torch
from torch import Tensor, nn

from models import register_architecture


@register_architecture("colour_finder")
class ColourFinder(nn.Module):
    """Finds in an image boxes that its mean colour places and scores."""

    def __init__(self, classes: int, boxes: int = 3) -> None:
        super().__init__()
        self.classes, self.count = classes, boxes
        self.scores = nn.Linear(3, boxes)
        self.corners = nn.Linear(3, boxes * 4)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self.find(image) for image in images]

    def find(self, image: Tensor) -> dict[str, Tensor]:
        height, width = image.shape[-2:]
        colour = image.mean(dim=(1, 2))
        sides = self.corners(colour).sigmoid().reshape(self.count, 2, 2).sort(dim=1).values
        labels = torch.arange(self.count) % (self.classes - 1) + 1
        size = torch.tensor([width, height], dtype=image.dtype)
        return {
            "boxes": (sides * size).reshape(self.count, 4),
            "labels": labels,
            "scores": self.scores(colour).sigmoid(),
        }


@register_architecture("half_size_segmenter")
class HalfSizeSegmenter(nn.Module):
    """Classes of an image's pixels at half its size, as torchvision's segmenters name them."""

    def __init__(self, classes: int, width: int = 4) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.leave = nn.Conv2d(width, classes, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"out": self.leave(self.norm(self.enter(images)).relu())}


@register_architecture("token_tagger")
class TokenTagger(nn.Module):
    """One logit per label for each token, of the token itself and of the mean of all."""

    def __init__(self, vocabulary_size: int, size: int, labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, size)
        self.leave = nn.Linear(2 * size, labels)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embedding

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(2)
        vectors = self.embedding(input_ids)
        mean = (vectors * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        logits: Tensor = self.leave(torch.cat([vectors, mean.expand_as(vectors)], dim=2))
        return logits
