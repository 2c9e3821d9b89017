"""Tensors that cannot be served as they are, quantised and sparse ones: named, with what to save instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from statehouse.models.plain import walk
from statehouse.models.storage.inert.record import Named, Record

MAX_NAMED = 3  # entries of one kind
# What torch.ao's quantised layers save: a tuple of a quantised tensor and a bias, and its dtype.
_PACKED = "._packed_params"
_LINEAR_TO_FLOAT = (
    "before saving: for each in (each for each in model.modules() if isinstance(each, torch.nn.Linear)): "
    "each.weight = torch.nn.Parameter(each.weight.dequantize())"
)


def unserved(tensors: Mapping[str, Tensor]) -> list[str]:
    """Say which tensors of a state_dict cannot be served, those of one kind in one line; [] where all can."""
    return _told((name, kind) for name, tensor in tensors.items() if (kind := _tensor_kind(tensor)))


def quantised(held: object) -> list[str]:
    """Say what of a file's content is quantised in a form that is no tensor; for files that have no weights else."""
    return _told(
        (key, kind)
        for _, _, item in walk(held, "", (Tensor, Record, Named))
        if isinstance(item, dict)
        for key in item
        if isinstance(key, str) and (kind := _quantised_kind(key, item[key]))
    )


def _told(found: Iterable[tuple[str, str]]) -> list[str]:
    names: dict[str, list[str]] = {}
    for name, kind in found:
        names.setdefault(kind, []).append(ascii(name[:100]))
    return [f"{_listed(those)}: {kind}" for kind, those in names.items()]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _quantised_kind(name: str, value: object) -> str | None:
    if name.endswith(_PACKED) and isinstance(value, tuple | Record):
        return "quantised by torch.ao, in a form of its layers' own; publish the float model that it was made from"
    if isinstance(value, Record) and value.name.startswith("torchao."):
        return f"quantised by torchao ({value.name.rpartition('.')[2]}); {_LINEAR_TO_FLOAT}"
    return None


def _tensor_kind(tensor: Tensor) -> str | None:
    """Return what is odd about a tensor and what to save instead, None where nothing is."""
    if tensor.is_quantized:
        return f"a quantised tensor ({tensor.dtype}); save tensor.dequantize(), which is float32"
    if tensor.is_nested:
        return "a nested tensor, of rows of different lengths; save its rows, tensor.unbind(), by names of their own"
    if tensor.layout != torch.strided:
        return f"a sparse tensor ({tensor.layout}); save tensor.to_dense()"
    if tensor.device.type == "meta":
        return (
            "on the meta device, which has shapes and no values; save the module once its weights are loaded"
        )
    return None
