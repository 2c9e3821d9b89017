"""Whose statistics the batch norms of averaged weights have.

An AveragedModel takes its buffers from the model at each update, unless it averages those as well: the running means
are then of activations that the average does not have. torch's `update_bn` computes them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from statehouse.models.tensors.own_buffers import COUNTER
from statehouse.models.tensors.prefixes import strip_prefixes

STATISTICS = ("running_mean", "running_var")
WAY_OUT = "torch.optim.swa_utils.update_bn(loader, average)"


def statistics_note(
    average: Mapping[Any, Any], model: Mapping[Any, Any] | None, updates: int | None
) -> str | None:
    """Return what to tell of the batch norms of an average, None where there are none or they are its own.

    `model` is the one that was averaged, where the file has it as well; `updates` says how often the average was
    updated, where that is known.
    """
    own = _tensors(average)
    if not any(_is_statistic(name) for name in own) or (updates is not None and updates <= 1):
        return None
    if model is not None:
        return _told_by_comparison(own, _tensors(model))
    if updates is not None and _was_counted_anew(own, updates):
        return None
    return (
        "it has batch norms, and the file does not say whose statistics they have: the last model's, which may be far "
        f"from the average's own, unless {WAY_OUT} was run before it was saved, or the averaging took in buffers"
    )


def _told_by_comparison(own: Mapping[str, Tensor], last: Mapping[str, Tensor]) -> str | None:
    if not all(_is_same(own[name], last.get(name)) for name in own if _is_statistic(name)):
        return None
    if all(_is_same(tensor, last.get(name)) for name, tensor in own.items()):
        return None  # there is nothing averaged in it
    return (
        "its batch norms have the last model's statistics, not the average's own: the answers may be far off. "
        f"Run {WAY_OUT} and save it again"
    )


def _was_counted_anew(own: Mapping[str, Tensor], updates: int) -> bool:
    """Whether the batch norms have seen fewer batches than there were updates, each after one batch at the least."""
    counts = [int(each) for name, each in own.items() if _last(name) == COUNTER and each.numel() == 1]
    return bool(counts) and max(counts) < updates


def _tensors(state_dict: Mapping[Any, Any]) -> dict[str, Tensor]:
    named = {name: value for name, value in state_dict.items() if isinstance(name, str)}
    return {name: value for name, value in strip_prefixes(named).items() if isinstance(value, Tensor)}


def _is_statistic(name: str) -> bool:
    return _last(name) in STATISTICS


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _is_same(own: Tensor, other: Tensor | None) -> bool:
    if other is None or own.shape != other.shape or own.dtype != other.dtype:
        return False
    return torch.equal(own, other)
