"""Whether the saved state of an optimizer is of the optimizer that is here; torch itself compares counts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from statehouse.models.training_state import Stateful

Names = Sequence[Sequence[str]]

# What torch's optimizers keep per element of a parameter; the rest may have any shape.
_PER_ELEMENT = frozenset(
    {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg", "acc_delta"}
    | {"sum", "ax", "exp_inf", "prev", "step_size"}
)
OF_SCHEDULERS = frozenset({"initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr"})
NOT_SETTINGS = frozenset({"params", "param_names"})


def optimizer_problems(
    optimizer: Stateful, saved: Mapping[str, Any], own_names: Names | None, saved_names: Names | None
) -> list[str]:
    """Say every way in which `saved` is of another optimizer: its groups, their parameters, settings, shapes.

    The names are those of the parameters in each group, where they are known.
    """
    if not isinstance(optimizer, Optimizer):
        return []
    groups = saved.get("param_groups")
    if (
        not isinstance(groups, list)
        or not all(map(_is_group, groups))
        or not isinstance(saved.get("state"), dict)
    ):
        return ["optimizer: its state is not what Optimizer.state_dict() returns"]
    if len(groups) != len(optimizer.param_groups):
        return [f"optimizer: has {len(optimizer.param_groups)} groups here, {len(groups)} in the checkpoint"]
    problems = []
    for index, (own, other) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        problems += [f"optimizer: group {index}: {each}" for each in _setting_problems(own, other)]
        here, there = _names_of(own_names, index), _names_of(saved_names, index)
        problems += [
            f"optimizer: group {index}: {each}" for each in _parameter_problems(own, other, here, there)
        ]
    return problems or _shape_problems(optimizer, saved, own_names)


def _is_group(value: object) -> bool:
    params = value.get("params") if isinstance(value, dict) else None
    return isinstance(params, list) and all(isinstance(each, int | str) for each in params)


def _names_of(names: Names | None, group: int) -> list[str] | None:
    return list(names[group]) if names is not None and group < len(names) else None


def _setting_problems(own: Mapping[str, Any], saved: Mapping[str, Any]) -> list[str]:
    ignored = NOT_SETTINGS | OF_SCHEDULERS
    missing, unknown = own.keys() - saved.keys() - ignored, saved.keys() - own.keys() - ignored
    lines = [f"setting {name} is not in the checkpoint" for name in sorted(missing)]
    return lines + [f"setting {name} is in the checkpoint alone" for name in sorted(unknown)]


def _parameter_problems(
    own: Mapping[str, Any], saved: Mapping[str, Any], here: list[str] | None, there: list[str] | None
) -> list[str]:
    counts = len(own["params"]), len(saved["params"])
    if here is None or there is None or here == there:
        return [f"has {counts[0]} parameters here, {counts[1]} in the checkpoint"] * (counts[0] != counts[1])
    missing = [f"{name} is not in the checkpoint's" for name in here if name not in there]
    unknown = [f"{name} is in the checkpoint's alone" for name in there if name not in here]
    return missing + unknown or ["has the same parameters in another order"]


def _shape_problems(optimizer: Optimizer, saved: Mapping[str, Any], names: Names | None) -> list[str]:
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    labels = [name for group in names or () for name in group]
    indices = [index for group in saved["param_groups"] for index in group["params"]]
    problems = []
    for place, (index, parameter) in enumerate(zip(indices, parameters, strict=True)):
        label = labels[place] if labels else f"parameter {place}"
        kept = saved["state"].get(index)
        for key, value in kept.items() if isinstance(kept, dict) else ():
            if key in _PER_ELEMENT and isinstance(value, Tensor) and value.shape != parameter.shape:
                shapes = f"{list(parameter.shape)} here, {list(value.shape)} in the checkpoint"
                problems.append(f"optimizer: {key} of {label} is {shapes}")
    return problems
