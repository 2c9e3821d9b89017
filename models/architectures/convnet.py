"""A small convolutional image classifier."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from statehouse.models.architecture import ArchitectureConfig, register_architecture

Size = Annotated[int, Field(gt=0, le=16384)]


class ConvNetConfig(ArchitectureConfig):
    """Each of `channels` is one block, and each block halves height and width."""

    in_channels: Size
    height: Size
    width: Size
    num_classes: int = Field(gt=0, le=1_000_000)
    channels: list[Size] = Field(default=[32, 64], min_length=1, max_length=14)
    dropout: float = Field(default=0.0, ge=0, lt=1)


@register_architecture(
    "convnet",
    config=ConvNetConfig,
    input_shape=lambda config: (config.in_channels, config.height, config.width),
)
class ConvNet(nn.Module):
    """(N, in_channels, height, width) to (N, num_classes)."""

    def __init__(
        self,
        in_channels: int,
        height: int,
        width: int,
        num_classes: int,
        channels: list[int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        halvings = 2 ** len(channels)
        if min(height, width) < halvings:
            raise ValueError(
                f"height and width are {height} and {width}; {len(channels)} blocks need {halvings} or "
                "more each: list fewer channels"
            )
        self.blocks = nn.Sequential(
            *(
                _block(before, after)
                for before, after in zip([in_channels, *channels], channels, strict=False)
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[-1] * (height // halvings) * (width // halvings), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, height, width)."""
        logits: Tensor = self.classifier(self.dropout(self.blocks(x).flatten(1)))
        return logits


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
