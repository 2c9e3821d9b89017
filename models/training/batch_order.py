"""The order in which training sees its rows: shuffled anew each epoch, and resumable at any batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from statehouse.models.errors import TrainingStateError, listed

_SHAPE = ("size", "batch_size", "seed", "drop_last")


class BatchOrder:
    """Batches of row numbers, one epoch per `for`; where it stands is saved and restored with the training.

        order = BatchOrder(len(images), batch_size=64, seed=0)
        while order.epoch < 15:
            for batch in order:
                loss = loss_of(model(images[batch]), labels[batch])

    An epoch's order depends on the seed and the epoch alone, not on torch's generator. An epoch that was left,
    by `break` or by a kill, goes on at the next `for`. It is a `batch_sampler` for torch's DataLoader as well:
    without worker processes, which fetch ahead, and with a `generator=` of its own, because the loader draws a
    number from torch's at each start.
    """

    def __init__(self, size: int, batch_size: int, *, seed: int = 0, drop_last: bool = False) -> None:
        problems = [
            f"{name} is {value}; expected at least 1"
            for name, value in (("size", size), ("batch_size", batch_size))
            if value < 1
        ]
        if drop_last and not problems and batch_size > size:
            problems.append(f"batch_size {batch_size} is above size {size}: drop_last would leave no batch")
        if problems:
            raise ValueError("; ".join(problems))
        self.size, self.batch_size, self.seed, self.drop_last = size, batch_size, seed, drop_last
        self.epoch = 0  # epochs that are through
        self.position = 0  # batches given out in the present epoch

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        whole, rest = divmod(self.size, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        rows = self._rows_of(self.epoch)
        while self.position < len(self):
            start = self.position * self.batch_size
            self.position += 1
            yield rows[start : start + self.batch_size]
        self.epoch, self.position = self.epoch + 1, 0

    def _rows_of(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        rows: list[int] = torch.randperm(self.size, generator=generator).tolist()
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Return where the order stands, and of what it is the order."""
        return {name: getattr(self, name) for name in (*_SHAPE, "epoch", "position")}

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Stand where `state_dict` was taken; raises TrainingStateError for that of another order."""
        if problems := self.problems_of(state_dict):
            raise TrainingStateError(listed("the order of batches does not fit:", problems))
        self.epoch, self.position = state_dict["epoch"], state_dict["position"]

    def problems_of(self, state_dict: Mapping[str, Any]) -> list[str]:
        """Say why `state_dict` is not of this order; nothing where it is."""
        problems = [
            f"order: {name} is {getattr(self, name)!r} here, {state_dict.get(name)!r} in the checkpoint"
            for name in _SHAPE
            if state_dict.get(name) != getattr(self, name)
        ]
        for name, most in (("epoch", None), ("position", len(self))):
            value = state_dict.get(name)
            if not isinstance(value, int) or value < 0 or (most is not None and value > most):
                problems.append(f"order: {name} is {value!r}; expected a count of batches or epochs")
        return problems
