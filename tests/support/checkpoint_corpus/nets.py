"""Small networks with the same tensors on every machine: filled by integer arithmetic, not by a random generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def numbers(*shape: int, dtype: torch.dtype = torch.float32, start: int = 0) -> Tensor:
    """Return a tensor of distinct-looking small numbers, exact in every floating dtype of 16 bits and more."""
    count = torch.Size(shape).numel()
    return ((torch.arange(start, start + count) * 37 % 101 - 50) / 64).reshape(shape).to(dtype)


@torch.no_grad()
def fill(held: object, start: int = 1) -> int:
    """Overwrite every floating tensor in nested dicts and lists, in order; returns where the next one would start."""
    if isinstance(held, Tensor):
        if held.is_floating_point():
            held.copy_(numbers(*held.shape, start=start))
        return start + 7
    parts: Any = (
        held.values() if isinstance(held, Mapping) else held if isinstance(held, (list, tuple)) else ()
    )
    for part in parts:
        start = fill(part, start)
    return start


class Net(nn.Module):
    """Convolution, normalisation with its three buffers, a linear layer."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


class Tied(nn.Module):
    """Two names of one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.out = nn.Linear(4, 6, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.embed(x))


class Buffered(nn.Module):
    """Buffers that are saved and one that is not, a parameter of its own, lists and dicts of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(numbers(3))
        self.register_buffer("seen", numbers(2, 2))
        self.register_buffer("cache", numbers(5), persistent=False)
        self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
        self.heads = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(3, 2)})
        self.loose = nn.ParameterList([numbers(2), numbers(3)])


def net(classes: int = 3) -> Net:
    """Return the filled network, in evaluation mode."""
    return filled(Net(classes)).eval()


def filled(module: nn.Module) -> Any:
    """Return the module, its parameters and buffers filled."""
    fill(list(module.parameters()) + list(module.buffers()))
    return module


def stepped(module: nn.Module, kind: type[torch.optim.Optimizer] = torch.optim.Adam) -> torch.optim.Optimizer:
    """Return an optimizer of the module after one step, its state filled."""
    optimizer = kind(module.parameters(), lr=0.125)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    fill(list(module.parameters()))
    fill([state[name] for state in optimizer.state.values() for name in sorted(state)])
    optimizer.zero_grad()
    return optimizer
