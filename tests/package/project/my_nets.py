"""A network of the user's own, beside a package of theirs that is called `models`."""

from models import WIDTH  # noqa: TID251 - the user's own
from torch import Tensor, nn

from statehouse import register_architecture


@register_architecture("narrow")
class Narrow(nn.Module):
    """As wide as the user's own package says."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(input_size, WIDTH), nn.Dropout(0.5), nn.Linear(WIDTH, 2))

    def forward(self, rows: Tensor) -> Tensor:
        """Return two numbers a row."""
        return self.layers(rows)
