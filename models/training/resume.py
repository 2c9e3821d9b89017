"""Resuming: a training run goes on bit for bit where its checkpoint was saved, or nothing is touched."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from statehouse.models.checkpoint import Checkpoint, load_checkpoint, verify_records
from statehouse.models.errors import ResumeError
from statehouse.models.rng import capture_rng_state, restore_rng_state
from statehouse.models.tensors.state_dict import apply, fit
from statehouse.models.training.batch_order import BatchOrder
from statehouse.models.training.optimizer_fit import optimizer_problems
from statehouse.models.training.optimizer_settings import suited_to
from statehouse.models.training_state import (
    OneOrSeveral,
    Several,
    Stateful,
    TrainingState,
    as_one,
    names_in_groups,
    own_copy,
)

Takers = Mapping[str, Stateful | None]


def resume_training(
    path: str | Path,
    model: nn.Module,
    optimizer: OneOrSeveral,
    *,
    scheduler: OneOrSeveral | None = None,
    scaler: OneOrSeveral | None = None,
    order: Stateful | None = None,
    rng: bool = True,
    map_location: str | torch.device = "cpu",
) -> TrainingState:
    """Put a run back to where `save_checkpoint` saved it; return its epoch, step, loss and best metric.

        model, optimizer = build_model("mlp", config), torch.optim.AdamW(model.parameters())
        state = resume_training("run.pt", model, optimizer, scheduler=scheduler, order=order)
        step = state.step

    Call it last, when all is built and just before the loop: building draws random numbers. What the file
    holds must be asked for, since a run that leaves its scheduler behind is another run; `rng=False` alone goes
    on with other random numbers. Several optimizers, schedulers or scalers are given by name, as they were saved.
    Settings that torch has gained since are filled in with its defaults, and `capturable`, of a run on a GPU, is set
    aside on a CPU: `notes` of what is returned say so. Every byte is checked first. Gradients are not saved: save after
    a step.

    Raises:
        CheckpointError: the file cannot be read, is damaged, or is not what it says.
        ResumeError: it does not fit what was given; every problem is listed, and nothing was changed.
    """
    checkpoint = load_checkpoint(path, map_location=map_location)
    verify_records(path)
    given = {"optimizer": optimizer, "scheduler": scheduler, "scaler": scaler, "order": order}
    takers = {name: as_one(name, each) for name, each in given.items()}
    state = suited_to(takers["optimizer"], checkpoint.training or TrainingState())
    problems = _problems(checkpoint, state, model, takers)
    if rng and state.rng_state is None:
        problems.append("random numbers: were not saved; go on from others with rng=False")
    if problems:
        raise ResumeError(f"{path}: the run cannot go on from here; nothing was changed:", problems)
    _restore_all(checkpoint, state, model, takers, rng)
    return state


def _problems(checkpoint: Checkpoint, state: TrainingState, model: nn.Module, takers: Takers) -> list[str]:
    problems = [f"model: {line}" for line in fit(model, checkpoint.state_dict)[1].lines()]
    for name, saved in state.states().items():
        taker = takers[name]
        if taker is None and saved is not None:
            problems.append(f"{name}: is in the checkpoint and was not given; give {name}={name}")
        elif taker is not None and saved is None:
            problems.append(f"{name}: was not saved; save it with save_checkpoint(…, {name}={name})")
        elif taker is not None and saved is not None:
            problems += _taker_problems(name, taker, saved, state, model)
    return problems


def _taker_problems(
    name: str, taker: Stateful, saved: Mapping[str, Any], state: TrainingState, model: nn.Module
) -> list[str]:
    kind = (state.kinds or {}).get(name)
    if isinstance(taker, Several):
        return _problems_of_several(name, taker, saved, kind)
    if kind is not None and kind != type(taker).__qualname__:
        return [f"{name}: is a {type(taker).__qualname__} here, {_told_kind(kind)} in the checkpoint"]
    if name == "optimizer":
        return optimizer_problems(taker, saved, names_in_groups(model, taker), state.optimizer_parameters)
    if isinstance(taker, BatchOrder):
        return taker.problems_of(saved)
    return _field_problems(name, taker.state_dict(), saved)


def _told_kind(kind: object) -> str:
    return f"several, {', '.join(map(str, kind))}," if isinstance(kind, dict) else f"a {kind}"


def _problems_of_several(name: str, taker: Several, saved: Mapping[str, Any], kinds: object) -> list[str]:
    """Compare several with what was saved of each, by their names."""
    if not isinstance(kinds, dict):
        return [f"{name}: are several here, {', '.join(taker.members)}, and one in the checkpoint"]
    if taker.members.keys() != saved.keys():
        return [
            f"{name}: are {', '.join(taker.members)} here, {', '.join(map(str, saved))} in the checkpoint"
        ]
    problems = []
    for each, member in taker.members.items():
        kind, label = type(member).__qualname__, f"{name} {each}"
        if kinds.get(each) != kind:
            problems.append(f"{label}: is a {kind} here, a {kinds.get(each)} in the file")
        elif name == "optimizer":
            problems += [f"{each}: {line}" for line in optimizer_problems(member, saved[each], None, None)]
        else:
            problems += _field_problems(label, member.state_dict(), saved[each])
    return problems


def _field_problems(name: str, own: Mapping[str, Any], saved: Mapping[str, Any]) -> list[str]:
    """Compare by their fields what has none of its own checks: a scaler that is off has none at all."""
    if name == "order" or own.keys() == saved.keys():
        return []
    if not own or not saved:
        where = "here" if not own else "in the checkpoint"
        return [f"{name}: is switched off {where} alone; expected both on, or both off"]
    missing, unknown = sorted(own.keys() - saved.keys()), sorted(saved.keys() - own.keys())
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    parts += [f"has {', '.join(unknown)}"] if unknown else []
    return [f"{name}: is of another kind than the one saved, which {' and '.join(parts)}"]


def _restore_all(
    checkpoint: Checkpoint, state: TrainingState, model: nn.Module, takers: Takers, rng: bool
) -> None:
    """Restore each part; should one refuse its state all the same, the earlier ones get theirs back."""
    undo: list[Callable[[], object]] = []
    name = "model"
    try:
        for name, taker in takers.items():
            if taker is not None:
                undo.append(_undo_of(taker))
                taker.load_state_dict(own_copy(state.states()[name]))
        name = "random numbers"
        undo.append(_undo_of_rng())
        if rng and state.rng_state is not None:
            restore_rng_state(state.rng_state)
        name = "model"
        apply(model, checkpoint.state_dict)
    except Exception as error:  # optimizers and schedulers of any make, each with errors of its own
        for each in reversed(undo):
            each()
        problem = f"{name}: refuses its state ({type(error).__name__}: {error})"
        raise ResumeError(
            f"{checkpoint.header.path}: the run cannot go on from here; nothing was changed:", [problem]
        ) from error


def _undo_of(taker: Stateful) -> Callable[[], object]:
    before = copy.deepcopy(taker.state_dict())
    return lambda: taker.load_state_dict(before)


def _undo_of_rng() -> Callable[[], object]:
    before = capture_rng_state()
    return lambda: restore_rng_state(before)
