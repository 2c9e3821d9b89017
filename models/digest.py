"""The digest: what makes two checkpoints the same model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from statehouse.models.plain import canonical_json
from statehouse.models.tensors.tensor_info import TensorInfo


def compute_digest(
    *,
    architecture: str | None,
    config: Mapping[str, Any] | None,
    task: str | None,
    task_config: Mapping[str, Any] | None,
    state_dict: Mapping[str, Tensor],
) -> str:
    r"""Return SHA-256, as 64 hexadecimal digits, over exactly these bytes, in this order.

    1. One JSON object, UTF-8, keys sorted, no spaces, non-ASCII characters as they are, then `\n`:
       `{"architecture":…,"config":…,"task":…,"task_config":…}`, with null for what is absent. `config` and
       `task_config` are full dumps, defaults included.
    2. For each tensor, by name in order of code points: one JSON array `["name","float32",[rows,columns]]`
       and `\n`; then the elements in row-major order, each little-endian, without padding.

    Names are without wrapper prefixes; a tied tensor counts under each of its names. The container, the order
    of keys, metadata, examples, training state and times have no part in it.
    """
    plain = {"architecture": architecture, "config": config, "task": task, "task_config": task_config}
    digest = hashlib.sha256(_line(plain))
    for name in sorted(state_dict):
        tensor = state_dict[name]
        info = TensorInfo.of(tensor)
        digest.update(_line([name, info.dtype, list(info.shape)]))
        if tensor.numel():
            digest.update(_elements(tensor))
    return digest.hexdigest()


def _line(value: object) -> bytes:
    return canonical_json(value).encode() + b"\n"


def _elements(tensor: Tensor) -> memoryview:
    """The elements' bytes: of a contiguous tensor on the CPU without copying them."""
    flat = tensor.detach().cpu().contiguous().view(-1)
    return flat.view(torch.uint8).numpy().data
