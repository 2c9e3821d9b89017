"""Names of tensors without what wrappers put in front of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

# What DataParallel, DistributedDataParallel and torch.compile put in front of the names of what they wrap.
WRAPPER_PREFIXES = frozenset({"module", "_orig_mod"})


def strip_prefixes(state_dict: Mapping[str, Value]) -> dict[str, Value]:
    """Return the same values by names without `module.` and `_orig_mod.`, at any depth.

    Names that would become equal are left as they are.
    """
    stripped = {name: _stripped(name) for name in state_dict}
    times = Counter(stripped.values())
    return {short if times[short] == 1 else name: state_dict[name] for name, short in stripped.items()}


def _stripped(name: str) -> str:
    *path, last = name.split(".")
    return ".".join([*(part for part in path if part not in WRAPPER_PREFIXES), last])
