"""What is known of a tensor without its bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TensorInfo:
    """Element type and shape of a tensor."""

    dtype: str  # as torch prints it, without "torch.": "float32"
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> TensorInfo:
        """Describe `tensor`."""
        shape = () if tensor.is_nested else tuple(tensor.shape)  # rows of different lengths have none
        return cls(str(tensor.dtype).removeprefix("torch."), shape)

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"
