"""A network that was written when ours was called `models`."""

from models import register_architecture  # noqa: TID251 - as it was then
from torch import Tensor, nn


@register_architecture("of_old")
class OfOld(nn.Module):
    """One layer."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(input_size, 2)

    def forward(self, rows: Tensor) -> Tensor:
        """Return two numbers a row."""
        return self.layer(rows)
