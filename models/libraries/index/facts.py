"""What a module's layers are and how they are set, as far as that is plain: what tensors do not say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

# They hold others, do nothing when serving, or both.
_PASS_ON = (nn.Identity, nn.Sequential, nn.ModuleList, nn.ModuleDict)
_TRAINING_CLASSES = ("Drop", "FloatFunctional", "QuantStub", "DeQuantStub")
_TRAINING_ATTRIBUTES = frozenset(
    {"training", "inplace", "momentum", "p", "drop_rate", "dropout", "drop_prob", "drop_path", "grad_checkpointing",
     "num_classes", "drop_path_rate", "attn_drop_rate", "proj_drop_rate", "feature_info", "memory_efficient",
     "reparam_mode", "fused", "fused_attn", "fast_norm", "_fast_norm"}
)  # fmt: skip
_LONGEST = 6  # numbers of one setting


@dataclass(frozen=True)
class Layer:
    """A module's class and plain attributes."""

    kind: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """Layers by path, and how many there are of each class that has no tensors of its own."""

    with_tensors: dict[str, Layer]
    blocks: dict[str, Layer]
    without_tensors: Counter[str]
    settings: Counter[str]  # "kernel_size 3 of MaxPool2d", of those without tensors


def facts_of(module: nn.Module) -> Facts:
    """Look at every layer that has a part in an answer."""
    facts = Facts({}, {}, Counter(), Counter())
    for path, layer in module.named_modules():
        kind = type(layer).__name__
        if isinstance(layer, _PASS_ON) or kind.startswith(_TRAINING_CLASSES):
            continue
        found = Layer(kind, dict(_settings(layer)))
        if _is_saved(layer):
            facts.with_tensors[path] = found
        elif any(True for _ in layer.children()):
            facts.blocks[path] = found
        else:
            facts.without_tensors[kind] += 1
            facts.settings.update(
                f"{name} {shown(value)} of {kind}" for name, value in found.settings.items()
            )
    return facts


def _is_saved(layer: nn.Module) -> bool:
    """Whether it has tensors of its own in a state_dict; a blur has one that is not saved."""
    kept = {name for name, tensor in layer.named_buffers(recurse=False) if tensor is not None}
    return any(True for _ in layer.parameters(recurse=False)) or bool(
        kept - layer._non_persistent_buffers_set
    )


def _settings(layer: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, value in vars(layer).items():
        if not name.startswith("_") and name not in _TRAINING_ATTRIBUTES and _is_plain(value):
            yield name, value


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return len(value) <= _LONGEST and all(isinstance(each, int | float | str) for each in value)
    return isinstance(value, int | float | str)


def shown(value: Any) -> str:  # noqa: ANN401 - plain data
    """Return a setting as people write it; a size that is the same in both directions is one number."""
    if isinstance(value, tuple | list):
        return shown(value[0]) if value and len(set(value)) == 1 else f"({', '.join(map(shown, value))})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
