"""Training state: what a run needs, beside its tensors, to go on exactly where it was saved."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy
import torch
from torch import Tensor

from models.errors import TrainingStateError
from models.plain import plain_problems

# Our own keys first, then those that other trainers write.
OPTIMIZER_KEYS = ("optimizer_state_dict", "optimizer")
SCHEDULER_KEYS = ("scheduler_state_dict", "lr_scheduler_state_dict", "scheduler", "lr_scheduler")
TRAINING_KEYS = ("optimizer_state_dict", "scheduler_state_dict", "epoch", "loss", "rng_state")


class Stateful(Protocol):
    """An optimizer or a learning-rate scheduler."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take the state over."""


@dataclass(frozen=True)
class TrainingState:
    """What a training checkpoint carries beside the model; None is what was not saved."""

    optimizer_state: Mapping[str, Any] | None = None
    scheduler_state: Mapping[str, Any] | None = None
    epoch: int | None = None
    loss: float | None = None
    rng_state: Mapping[str, Any] | None = None

    def restore(
        self, *, optimizer: Stateful | None = None, scheduler: Stateful | None = None, rng: bool = True
    ) -> None:
        """Put optimizer, scheduler and, unless told otherwise, all random generators where they were.

        The generators are those of torch (CPU, and each GPU that is here), NumPy and Python. Restore after
        building everything, because building draws random numbers.

        Raises:
            TrainingStateError: something asked for was not saved; nothing is restored then.
        """
        asked = (
            ("optimizer", optimizer, self.optimizer_state),
            ("scheduler", scheduler, self.scheduler_state),
        )
        absent = [name for name, taker, state in asked if taker is not None and state is None]
        if absent:
            raise TrainingStateError(
                f"the checkpoint has no state of {' and '.join(absent)}; save it with "
                f"save_checkpoint(…, {', '.join(f'{name}={name}' for name in absent)})"
            )
        for _, taker, state in asked:
            if taker is not None and state is not None:
                taker.load_state_dict(dict(state))
        if rng and self.rng_state is not None:
            restore_rng_state(self.rng_state)


def capture_training(
    *,
    optimizer: Stateful | None,
    scheduler: Stateful | None,
    epoch: int | None,
    loss: float | Tensor | None,
    rng_state: bool | None,
) -> dict[str, Any]:
    """Return the training state as tensors and plain data, by the keys of a checkpoint.

    `rng_state` None means: with an optimizer.

    Raises:
        TrainingStateError: an optimizer or a scheduler holds something else (every place is listed), or the
            loss is not one number.
    """
    captured = {
        "optimizer_state_dict": optimizer.state_dict() if optimizer else None,
        "scheduler_state_dict": scheduler.state_dict() if scheduler else None,
        "epoch": epoch,
        "loss": None if loss is None else _loss_value(loss),
        "rng_state": capture_rng_state() if (rng_state or (rng_state is None and optimizer)) else None,
    }
    training = {key: value for key, value in captured.items() if value is not None}
    problems = training_problems(training)
    if problems:
        raise TrainingStateError(
            "\n  ".join(["training state that is neither tensors nor plain data cannot be saved:", *problems])
        )
    return training


def _loss_value(loss: float | Tensor) -> float:
    """Return the number in a loss, which may still hang in the graph that it was computed by."""
    if isinstance(loss, Tensor) and loss.numel() != 1:
        raise TrainingStateError(
            f"loss is a tensor of shape {list(loss.shape)}; give one number: loss.mean()"
        )
    return float(loss.detach()) if isinstance(loss, Tensor) else float(loss)


def training_problems(training: Mapping[str, Any]) -> list[str]:
    """Say everything in training state that is neither a tensor nor what a pickle says without code."""
    return [
        problem
        for key, value in training.items()
        for problem in plain_problems(value, key, also=(Tensor, Counter), json_only=False)
    ]


def parse_training(held: Mapping[str, Any]) -> TrainingState | None:
    """Return the training state in a checkpoint, ours or another trainer's, None where it has none."""
    state = TrainingState(
        optimizer_state=_first_dict(held, OPTIMIZER_KEYS),
        scheduler_state=_first_dict(held, SCHEDULER_KEYS),
        epoch=held["epoch"] if isinstance(held.get("epoch"), int) else None,
        loss=_number(held.get("loss")),
        rng_state=_first_dict(held, ("rng_state",)),
    )
    return None if state == TrainingState() else state


def _first_dict(held: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any] | None:
    return next((held[key] for key in keys if isinstance(held.get(key), dict)), None)


def _number(loss: object) -> float | None:
    """Return the loss, which tutorials save as the tensor that it was; None where it is no real number."""
    value = loss.item() if isinstance(loss, Tensor) and loss.numel() == 1 else loss
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # a pickle may hold an integer of any size
        return None


def capture_rng_state() -> dict[str, Any]:
    """Return the state of every random generator that training draws from, as tensors and plain data."""
    name, keys, position, has_gauss, gauss = numpy.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [str(name), numpy.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }


def restore_rng_state(state: Mapping[str, Any]) -> None:
    """Put every random generator where `capture_rng_state` found it, or raise TrainingStateError."""
    try:
        torch.set_rng_state(state["torch"].cpu())
        for index, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(device_state.cpu(), index)
        name, keys, *rest = state["numpy"]
        numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), *rest))
        random.setstate(state["python"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise TrainingStateError(
            f"rng_state is not what save_checkpoint writes ({type(error).__name__}: {error}); "
            "restore with rng=False to go on from other random numbers"
        ) from error
