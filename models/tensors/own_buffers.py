"""Buffers that a module makes itself, which some versions of a library save and others do not.

Two rules, both exact. A buffer that is missing is made only where its name is one of a few that are known to be no
result of training, and the module made it with just the values that the name stands for. A tensor too many is
left out only where it has no part in the answers: the module holds the same values without saving them, or it is
the counter of a batch normalisation. Everything else is a mismatch: running means are buffers as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn


def _is_zero(value: Tensor) -> bool:
    return not value.is_floating_point() and not bool(value.any())


def _counts_up(value: Tensor) -> bool:
    if value.is_floating_point() or not value.ndim:
        return False
    return bool((value == torch.arange(value.shape[-1])).all())


COUNTER = "num_batches_tracked"  # of batch normalisation: read in training alone
_KNOWN: Mapping[str, Callable[[Tensor], bool]] = {
    COUNTER: _is_zero,
    "position_ids": _counts_up,
    "token_type_ids": _is_zero,
}


def makeable(module: nn.Module, missing: Iterable[str]) -> dict[str, Tensor]:
    """Return those of the missing buffers of `module`, by its own names, that it made itself as they must be."""
    buffers = dict(module.named_buffers())
    return {
        name: buffers[name]
        for name in missing
        if name in buffers and not buffers[name].is_meta and _is_as_known(name, buffers[name])
    }


def _is_as_known(name: str, value: Tensor) -> bool:
    check = _KNOWN.get(_last(name))
    return check is not None and check(value)


def needless(module: nn.Module, unexpected: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors that `module` does not save and that have no part in what it answers."""
    buffers = dict(module.named_buffers())
    return [
        name
        for name, value in unexpected.items()
        if _last(name) == COUNTER or (name in buffers and _is_same(buffers[name], value))
    ]


def _is_same(own: Tensor, given: Tensor) -> bool:
    same_kind = not own.is_meta and own.shape == given.shape and own.dtype == given.dtype
    return same_kind and torch.equal(own, given.to(own.device))


def _last(name: str) -> str:
    return name.rpartition(".")[2]
