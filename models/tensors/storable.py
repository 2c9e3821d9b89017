"""Tensors as they are stored: on the CPU, dense, contiguous, each in memory of its own, tied ones once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from statehouse.models.errors import CheckpointContentError
from statehouse.models.tensors.prefixes import strip_prefixes
from statehouse.models.tensors.state_dict import tensors_of
from statehouse.models.tensors.ties import memory_key


def storable_tensors(path: Path, model: nn.Module | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a module or state_dict, by names without wrapper prefixes, ready to be stored.

    Raises:
        ArchitectureError: the module keeps state that is no tensor.
        CheckpointContentError: tensors that are sparse, quantised or without values; all of them are listed.
    """
    named = tensors_of(model) if isinstance(model, nn.Module) else dict(model)
    problems = [f"{name}: {problem}" for name, tensor in named.items() if (problem := unstorable(tensor))]
    if problems:
        raise CheckpointContentError(f"{path}: these tensors cannot be saved:", problems)
    stored: dict[tuple[object, ...], Tensor] = {}
    tensors: dict[str, Tensor] = {}
    for name, tensor in strip_prefixes(named).items():
        key = memory_key(tensor)
        if key not in stored:
            stored[key] = _compact(tensor)
        tensors[name] = stored[key]
    return tensors


def unstorable(tensor: object) -> str | None:
    """Say why no module's weight can be stored as this, None where it can."""
    if not isinstance(tensor, Tensor):
        return f"is a {type(tensor).__name__}; expected a tensor"
    if tensor.is_nested:
        return "is nested, of parts that differ in size; expected dense values"
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return f"is {tensor.layout}{', quantised' if tensor.is_quantized else ''}; expected dense values"
    if tensor.is_meta:
        return "is on the meta device, without values"
    return None


def _compact(tensor: Tensor) -> Tensor:
    """Return the values alone: a view would otherwise take all that it is a view of into the file."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if type(plain) is not Tensor:
        plain = plain.as_subclass(Tensor)
    if plain.untyped_storage().nbytes() == plain.numel() * plain.itemsize:
        return plain
    return plain.clone()
