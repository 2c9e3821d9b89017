"""Transfer learning: the tensors of a checkpoint that fit go into a module of yours, and it is said which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from statehouse.models.checkpoint import load_checkpoint
from statehouse.models.errors import PretrainedError
from statehouse.models.plain import suggestion
from statehouse.models.tensors.prefixes import strip_prefixes
from statehouse.models.tensors.state_dict import expected_tensors, fit
from statehouse.models.training.pretrained_report import PretrainedReport

Patterns = str | Sequence[str] | None


def load_pretrained(
    model: nn.Module,
    path: str | Path,
    *,
    include: Patterns = None,
    exclude: Patterns = None,
    freeze: bool = False,
) -> PretrainedReport:
    """Copy into `model` what fits of the checkpoint at `path`, ours or foreign; print the report that it returns.

        model = build_model("convnet", config)  # ten classes; the checkpoint has a hundred
        print(load_pretrained(model, "imagenet.pt", include="blocks.*", freeze=True))
        optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)

    `include` and `exclude` are patterns of names as in a shell, `*` matching dots too: `blocks.*`, `*.bias`;
    one, or several of which any may match. Names are those without `module.` and `_orig_mod.`. A tensor of
    another shape is left out and said; half-precision numbers are converted to the module's own.

    `freeze` takes the loaded parameters out of training, and holds each norm layer among them at its loaded
    statistics: it stays in eval mode, even after `model.train()`, as long as its parameters are frozen.

    Raises:
        CheckpointError: the file cannot be read.
        PretrainedError: a pattern matches nothing, or nothing would be loaded; the module is as it was.
    """
    given = dict(load_checkpoint(path).state_dict)
    problems = _pattern_problems("include", include, given) + _pattern_problems("exclude", exclude, given)
    chosen = {name: tensor for name, tensor in given.items() if _is_chosen(name, include, exclude)}
    expected = expected_tensors(model)
    converted = {name: _as_expected(tensor, expected.get(name)) for name, tensor in chosen.items()}
    fitting, report = fit(model, converted)
    if not fitting:
        problems += ["no tensor fits:", *report.lines()] if chosen else ["no tensor is chosen"]
    if problems:
        raise PretrainedError(f"{path}: nothing was loaded:", problems)
    model.load_state_dict(fitting, strict=False)
    return PretrainedReport(
        path=Path(path),
        expected=expected,
        loaded=tuple(strip_prefixes(fitting)),
        skipped=(*report.wrong_shape, *report.wrong_dtype),
        not_chosen=tuple(given.keys() - chosen.keys()),
        unexpected=report.unexpected,
        frozen=_freeze(model, fitting) if freeze else (),
        held=_hold_statistics(model, fitting) if freeze else (),
    )


def _is_chosen(name: str, include: Patterns, exclude: Patterns) -> bool:
    included = include is None or any(fnmatchcase(name, pattern) for pattern in _listed(include))
    return included and not any(fnmatchcase(name, pattern) for pattern in _listed(exclude))


def _listed(patterns: Patterns) -> list[str]:
    return [patterns] if isinstance(patterns, str) else list(patterns or ())


def _pattern_problems(what: str, patterns: Patterns, given: Mapping[str, Tensor]) -> list[str]:
    """Name the patterns that match nothing: a typing error would otherwise load everything, or nothing."""
    starts = list(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in given))
    return [
        f"{what}: {pattern!r} matches no tensor of the file{suggestion(pattern, starts)}"
        for pattern in _listed(patterns)
        if not any(fnmatchcase(name, pattern) for name in given)
    ]


def _as_expected(tensor: Tensor, info: object) -> Tensor:
    """Return floating-point numbers in the module's own precision; anything else as it is."""
    own = getattr(info, "dtype", None)
    floats = ("float16", "bfloat16", "float32", "float64")
    given = str(tensor.dtype).removeprefix("torch.")
    if own == given or own not in floats or given not in floats:
        return tensor
    return tensor.to(getattr(torch, own))


def _freeze(model: nn.Module, loaded: Mapping[str, Tensor]) -> tuple[str, ...]:
    parameters = {name: value for name, value in model.named_parameters() if name in loaded}
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    return tuple(strip_prefixes(parameters))


def _hold_statistics(model: nn.Module, loaded: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Hold the norm layers whose running statistics were loaded; return their names."""
    held = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _NormBase)
        and f"{name}.running_mean".lstrip(".") in loaded
        and _is_frozen(module)
    }
    for module in held.values():
        module.eval()
        module.register_forward_pre_hook(stay_in_eval_while_frozen)
    return tuple(strip_prefixes(held))


def stay_in_eval_while_frozen(module: nn.Module, _inputs: object) -> None:
    """Keep a norm layer at its running statistics; `model.train()` alone would have it change them."""
    if _is_frozen(module):
        module.training = False


def _is_frozen(module: nn.Module) -> bool:
    return not any(parameter.requires_grad for parameter in module.parameters(recurse=False))
