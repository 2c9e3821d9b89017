"""Tied weights: parameters that a module uses under several names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def tied_names(module: nn.Module) -> list[list[str]]:
    """Return the groups of names that mean one and the same parameter of `module`."""
    groups: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def spread_over_ties(given: Mapping[str, Tensor], ties: Sequence[Sequence[str]]) -> dict[str, Tensor]:
    """Return `given` with every tied name that is missing taken from one that is there."""
    spread = dict(given)
    for names in ties:
        source = next((given[name] for name in names if name in given), None)
        if source is not None:
            spread |= {name: source for name in names if name not in given}
    return spread


def broken_ties(given: Mapping[str, Tensor], ties: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of tied names that were given different values."""
    return tuple(
        (first, other)
        for first, *others in ties
        for other in others
        if first in given and other in given and not _same_values(given[first], given[other])
    )


def _same_values(first: Tensor, second: Tensor) -> bool:
    return is_same_memory(first, second) or (first.dtype == second.dtype and torch.equal(first, second))


def is_same_memory(first: Tensor, second: Tensor) -> bool:
    """Whether both tensors are the same elements in the same memory."""
    return memory_key(first) == memory_key(second)


def memory_key(tensor: Tensor) -> tuple[object, ...]:
    """Return what two tensors share exactly when they are the same elements in the same memory.

    Tensors without elements share no memory with any other.
    """
    if not tensor.numel():
        return (id(tensor),)
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())


def tie(module: nn.Module, ties: Sequence[Sequence[str]]) -> None:
    """Make every group of names one parameter again, the first one's."""
    for first, *others in ties:
        parameter = module.get_parameter(first)
        for name in others:
            path, _, attribute = name.rpartition(".")
            module.get_submodule(path).register_parameter(attribute, parameter)
