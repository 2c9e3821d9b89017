"""Modules that misbehave, for tests: registered as anybody's own would be."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from statehouse.models import register_architecture


@register_architecture("fragile_net", input_shape=lambda config: (2,))
class FragileNet(nn.Module):
    """Gives its input; raises on a batch that holds a 13, and NaN for a row that holds a 14."""

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        if (x == 13).any():
            raise ValueError("thirteen\nis not my number")
        return torch.where(x == 14, torch.nan, x * self.scale)


@register_architecture("shape_net", input_shape=lambda config: (2,))
class ShapeNet(nn.Module):
    """Gives something that no task can use."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> object:
        return {
            "tuple": (x, x),
            "squeezed": x.sum(),
            "first_row": x[:1],
            "wide": x.repeat(1, 5),
            "half": (x * self.scale).half(),
            "quarter": (x * self.scale).to(torch.float8_e4m3fn),
            "complex": torch.complex(x, x),
            "int": x.long(),
        }[self.kind]


@register_architecture("token_net")
class TokenNet(nn.Module):
    """Embeds whole numbers; does not say its input's shape."""

    def __init__(self, vocabulary: int = 10) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.embedding(x).mean(dim=1)


@register_architecture("lookup_net")
class LookupNet(nn.Module):
    """Looks whole numbers below 10 up without an embedding."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.table = kind, nn.Parameter(torch.arange(20.0).reshape(10, 2))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "index":
            return self.table[x].mean(dim=1)
        return (one_hot(x, 10).float() @ self.table).mean(dim=1)


@register_architecture("batch_softmax_net", input_shape=lambda config: (2,))
class BatchSoftmaxNet(nn.Module):
    """A softmax over the rows, where one over the classes was meant."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(2, size)

    def forward(self, x):
        return self.layer(x).softmax(dim=0)
