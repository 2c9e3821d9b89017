"""Settings of a saved optimizer made those of the torch and the device that are here, where that changes no number."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch.optim import Optimizer

from statehouse.models.training.optimizer_fit import NOT_SETTINGS, OF_SCHEDULERS
from statehouse.models.training_state import Several, Stateful, TrainingState


def suited_to(optimizer: Stateful | None, state: TrainingState) -> TrainingState:
    """Return the state with the settings filled in that its torch had not, and `capturable` off where there is no GPU.

    A setting is filled in with the default of the optimizer's class, and only where the optimizer here has that too:
    who chose another value is told of the difference. What was done is among the `notes`.
    """
    saved = state.optimizer_state
    if saved is None or optimizer is None:
        return state
    if isinstance(optimizer, Several):
        suited: dict[str, Any] = dict(saved)
        notes: list[str] = []
        for name, member in optimizer.members.items():
            if isinstance(saved.get(name), Mapping):
                suited[name], told = _suited(member, saved[name])
                notes += [f"{name}: {note}" for note in told]
        return replace(state, optimizer_state=suited, notes=tuple(notes))
    one, told = _suited(optimizer, saved)
    return replace(state, optimizer_state=one, notes=tuple(told))


def _suited(optimizer: Stateful, saved: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    groups = saved.get("param_groups")
    if not isinstance(optimizer, Optimizer) or not isinstance(groups, list):
        return saved, []
    if len(groups) != len(optimizer.param_groups) or not all(isinstance(group, dict) for group in groups):
        return saved, []  # which is told
    defaults = _defaults(type(optimizer))
    new, notes = [], dict[str, None]()
    for own, group in zip(optimizer.param_groups, groups, strict=True):
        if group.keys() - own.keys() - NOT_SETTINGS - OF_SCHEDULERS:
            return saved, []  # it is of another optimizer, which is told
        gained = {
            name: value
            for name, value in defaults.items()
            if name in own and name not in group and name not in NOT_SETTINGS and own[name] == value
        }
        notes |= {
            f"setting {name} is newer than the file: {value!r}, torch's default": None
            for name, value in gained.items()
        }
        group = {**group, **gained}
        if group.get("capturable") and all(each.device.type == "cpu" for each in own["params"]):
            group["capturable"] = False
            notes |= {"capturable, of a run on a GPU, is off on a CPU": None}
        new.append(group)
    return {**saved, "param_groups": new}, [f"optimizer: {note}" for note in notes]


def _defaults(kind: type[Optimizer]) -> dict[str, Any]:
    parameters = inspect.signature(kind).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}
