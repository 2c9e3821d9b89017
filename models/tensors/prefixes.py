"""Names of tensors without what wrappers put in front of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")

# What wrappers put in front of the names of what they wrap, and who does.
WRAPPER_PREFIXES: Mapping[str, str] = {
    "module": "DataParallel, DistributedDataParallel, AveragedModel",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
}


def strip_prefixes(state_dict: Mapping[str, Value]) -> dict[str, Value]:
    """Return the same values by names without `module.`, `_orig_mod.` and FSDP's, at any depth.

    Names that would become equal are left as they are.
    """
    stripped = {name: _stripped(name) for name in state_dict}
    times = Counter(stripped.values())
    return {short if times[short] == 1 else name: state_dict[name] for name, short in stripped.items()}


def prefix_notes(names: Iterable[str]) -> list[str]:
    """Say which wrappers' prefixes `strip_prefixes` takes off these names, one line each."""
    counts = Counter(part for name in names for part in set(name.split(".")[:-1]) & WRAPPER_PREFIXES.keys())
    return [
        f"prefix {part}. taken off {counts[part]:,} names ({who})"
        for part, who in WRAPPER_PREFIXES.items()
        if counts[part]
    ]


def _stripped(name: str) -> str:
    *path, last = name.split(".")
    return ".".join([*(part for part in path if part not in WRAPPER_PREFIXES), last])
