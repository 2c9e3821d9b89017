"""One batch's rows in one array, which is used again for every batch; on CUDA it is pinned memory."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from statehouse.handlers.errors import NonFiniteRowsError


class RowBuffer:
    """Room for `capacity` rows; batches that do not fit get an array of their own."""

    def __init__(
        self, capacity: int, row_shape: tuple[int, ...], dtype: np.dtype[Any], *, pinned: bool
    ) -> None:
        self._row_shape, self._dtype = row_shape, dtype
        self._rows = np.empty((capacity, *row_shape), dtype)
        if pinned:
            self._rows = torch.from_numpy(self._rows).pin_memory().numpy()

    def gather(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """The rows of all `parts`, one after the other, valid until the next call.

        Raises NonFiniteRowsError that names the parts with NaN or infinity, or with numbers too large for the
        buffer's own dtype.
        """
        count = sum(map(len, parts))
        rows = self._rows[:count]
        if count > len(self._rows):
            rows = np.empty((count, *self._row_shape), self._dtype)
        with np.errstate(over="ignore"):
            np.concatenate(parts, out=rows)
        if self._dtype.kind == "f" and not np.isfinite(rows).all():
            ends = np.cumsum([0, *map(len, parts)])
            wrong = [i for i, (a, b) in enumerate(pairwise(ends)) if not np.isfinite(rows[a:b]).all()]
            raise NonFiniteRowsError(wrong)
        return rows
