"""Training state: what a run needs, beside its tensors, to go on exactly where it was saved."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from statehouse.models.errors import TrainingStateError, listed
from statehouse.models.plain import plain_problems
from statehouse.models.rng import capture_rng_state, restore_rng_state
from statehouse.models.tensors.prefixes import strip_prefixes

# Our own keys first, then those that other trainers write.
OPTIMIZER_KEYS = ("optimizer_state_dict", "optimizer")
SCHEDULER_KEYS = ("scheduler_state_dict", "lr_scheduler_state_dict", "scheduler", "lr_scheduler")
SCALER_KEYS = ("scaler_state_dict", "grad_scaler_state_dict", "scaler", "grad_scaler")
STEP_KEYS = ("step", "global_step")
TRAINING_KEYS = (
    "optimizer_state_dict",
    "scheduler_state_dict",
    "scaler_state_dict",
    "order_state_dict",
    "epoch",
    "step",
    "loss",
    "best_metric",
    "rng_state",
    "training_kinds",
    "optimizer_parameters",
    "keeper_state",
)


class Stateful(Protocol):
    """An optimizer, a learning-rate scheduler, a gradient scaler, an order of batches."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take the state over."""


OneOrSeveral = Stateful | Mapping[str, Stateful] | Sequence[Stateful]


class Several:
    """Several optimizers, schedulers or scalers as one, by their names; those of a list are called 0, 1 …"""

    def __init__(self, members: Mapping[str, Stateful]) -> None:
        self.members = dict(members)

    def state_dict(self) -> dict[str, Any]:
        """Return each member's state by its name."""
        return {name: each.state_dict() for name, each in self.members.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Give each member its state."""
        for name, each in self.members.items():
            each.load_state_dict(state_dict[name])

    def kinds(self) -> dict[str, str]:
        """Return the class of each by its name."""
        return {name: type(each).__qualname__ for name, each in self.members.items()}


def as_one(what: str, given: OneOrSeveral | None) -> Stateful | None:
    """Return what was given as one that has a state; raises TrainingStateError for what has none."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        members = dict(given)
    elif isinstance(given, list | tuple):
        members = {str(index): each for index, each in enumerate(given)}
    else:
        members = {"": cast("Stateful", given)}
    odd = [
        f"{what}{f' {name!r}' if name else ''}: is a {type(each).__name__}; expected what has a state_dict"
        for name, each in members.items()
        if not hasattr(each, "state_dict")
    ]
    if odd or not members:
        raise TrainingStateError(
            listed("cannot be saved or resumed:", odd or [f"{what}: there is none in it"])
        )
    return members[""] if list(members) == [""] else Several(members)


@dataclass(frozen=True)
class TrainingState:
    """What a training checkpoint carries beside the model; None is what was not saved."""

    optimizer_state: Mapping[str, Any] | None = None
    scheduler_state: Mapping[str, Any] | None = None
    scaler_state: Mapping[str, Any] | None = None
    order_state: Mapping[str, Any] | None = None
    epoch: int | None = None
    step: int | None = None
    loss: float | None = None
    best_metric: float | None = None
    rng_state: Mapping[str, Any] | None = None
    kinds: Mapping[str, Any] | None = None  # class names of what was saved: {"optimizer": "AdamW", …}
    optimizer_parameters: list[Any] | None = None  # of each group, the names that the module gives them
    keeper_state: Mapping[str, Any] | None = None  # of the CheckpointKeeper that wrote the file
    notes: tuple[str, ...] = ()  # how the run goes on otherwise than it was saved, a line each

    def states(self) -> dict[str, Mapping[str, Any] | None]:
        """Return the states of everything that has a `state_dict`, by the arguments of `save_checkpoint`."""
        return {
            "optimizer": self.optimizer_state,
            "scheduler": self.scheduler_state,
            "scaler": self.scaler_state,
            "order": self.order_state,
        }

    def restore(
        self,
        *,
        optimizer: OneOrSeveral | None = None,
        scheduler: OneOrSeveral | None = None,
        scaler: OneOrSeveral | None = None,
        order: Stateful | None = None,
        rng: bool = True,
    ) -> None:
        """Put what is given and, unless told otherwise, all random generators where they were.

        The generators are those of torch (CPU, and each GPU that is here), NumPy and Python. Restore after
        building everything, because building draws random numbers. `resume_training` also checks that the
        states fit, and changes nothing where they do not.

        Raises:
            TrainingStateError: something asked for was not saved; nothing is restored then.
        """
        given = {"optimizer": optimizer, "scheduler": scheduler, "scaler": scaler, "order": order}
        takers = {name: as_one(name, each) for name, each in given.items()}
        states = self.states()
        absent = [name for name, taker in takers.items() if taker is not None and states[name] is None]
        if absent:
            raise TrainingStateError(
                f"the checkpoint has no state of {' and '.join(absent)}; save it with "
                f"save_checkpoint(…, {', '.join(f'{name}={name}' for name in absent)})"
            )
        for name, taker in takers.items():
            if taker is not None:
                taker.load_state_dict(own_copy(states[name]))
        if rng and self.rng_state is not None:
            restore_rng_state(self.rng_state)


def own_copy(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the state in memory of its own: what was read is the mapped file, and optimizers write to it."""
    return copy.deepcopy(dict(state or {}))


def capture_training(
    model: nn.Module | Mapping[str, Tensor],
    *,
    optimizer: OneOrSeveral | None,
    scheduler: OneOrSeveral | None,
    scaler: OneOrSeveral | None,
    order: Stateful | None,
    epoch: int | None,
    step: int | None,
    loss: float | Tensor | None,
    best_metric: float | Tensor | None,
    rng_state: bool | None,
    keeper_state: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the training state as tensors and plain data, by the keys of a checkpoint.

    `rng_state` None means: with an optimizer.

    Raises:
        TrainingStateError: something holds what is neither (every place is listed), or the loss or the best
            metric is not one number.
    """
    given = {"optimizer": optimizer, "scheduler": scheduler, "scaler": scaler, "order": order}
    stateful = {name: as_one(name, each) for name, each in given.items()}
    kinds = {name: kind_of(each) for name, each in stateful.items() if each is not None}
    captured: dict[str, object] = {
        "epoch": epoch,
        "step": step,
        "loss": one_number("loss", loss),
        "best_metric": one_number("best_metric", best_metric),
        "rng_state": capture_rng_state() if (rng_state or (rng_state is None and optimizer)) else None,
        "training_kinds": kinds or None,
        "optimizer_parameters": names_in_groups(model, optimizer),
        "keeper_state": keeper_state,
    }
    captured |= {
        f"{name}_state_dict": each.state_dict() for name, each in stateful.items() if each is not None
    }
    training = {key: value for key, value in captured.items() if value is not None}
    problems = training_problems(training)
    if problems:
        raise TrainingStateError(
            listed("training state that is neither tensors nor plain data cannot be saved:", problems)
        )
    return training


def kind_of(each: Stateful) -> str | dict[str, str]:
    """Return the name of its class, or those of several by their names."""
    return each.kinds() if isinstance(each, Several) else type(each).__qualname__


def names_in_groups(model: object, optimizer: object) -> list[list[str]] | None:
    """Return, for each of the optimizer's groups, what `model` calls its parameters; None if it does not say."""
    if not isinstance(model, nn.Module) or not isinstance(optimizer, Optimizer):
        return None
    own = strip_prefixes({name: name for name, _ in model.named_parameters()})
    parameters = dict(model.named_parameters())
    names = {id(parameters[name]): short for short, name in own.items()}
    groups = [[names.get(id(each), "") for each in group["params"]] for group in optimizer.param_groups]
    return groups if all(all(group) for group in groups) else None


def one_number(what: str, value: float | Tensor | None) -> float | None:
    """Return the number in a loss or metric, which may still hang in the graph that it was computed by."""
    if value is None:
        return None
    if isinstance(value, Tensor) and value.numel() != 1:
        raise TrainingStateError(
            f"{what} is a tensor of shape {list(value.shape)}; give one number: {what}.mean()"
        )
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def training_problems(training: Mapping[str, Any]) -> list[str]:
    """Say everything in training state that is neither a tensor nor what a pickle says without code."""
    return [
        problem
        for key, value in training.items()
        for problem in plain_problems(value, key, also=(Tensor, Counter), json_only=False)
    ]


def parse_training(held: Mapping[str, Any]) -> TrainingState | None:
    """Return the training state in a checkpoint, ours or another trainer's, None where it has none."""
    groups = held.get("optimizer_parameters")
    state = TrainingState(
        optimizer_state=_first_dict(held, OPTIMIZER_KEYS),
        scheduler_state=_first_dict(held, SCHEDULER_KEYS),
        scaler_state=_first_dict(held, SCALER_KEYS),
        order_state=_first_dict(held, ("order_state_dict",)),
        epoch=_first_int(held, ("epoch",)),
        step=_first_int(held, STEP_KEYS),
        loss=_number(held.get("loss")),
        best_metric=_number(held.get("best_metric")),
        rng_state=_first_dict(held, ("rng_state",)),
        kinds=_first_dict(held, ("training_kinds",)),
        optimizer_parameters=groups if isinstance(groups, list) else None,
        keeper_state=_first_dict(held, ("keeper_state",)),
    )
    return None if state == TrainingState() else state


def _first_dict(held: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any] | None:
    return next((held[key] for key in keys if isinstance(held.get(key), dict)), None)


def _first_int(held: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((held[key] for key in keys if isinstance(held.get(key), int)), None)


def _number(loss: object) -> float | None:
    """Return the loss, which tutorials save as the tensor that it was; None where it is no real number."""
    value = loss.item() if isinstance(loss, Tensor) and loss.numel() == 1 else loss
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # a pickle may hold an integer of any size
        return None
