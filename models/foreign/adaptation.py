"""A foreign state_dict made what its architecture declares, where that is exact; each step is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from statehouse.models.architecture import get_architecture
from statehouse.models.building import build_without_values
from statehouse.models.errors import ArchitectureError
from statehouse.models.tensors.state_dict import expected_tensors, fit, made_of, strip_prefixes
from statehouse.models.tensors.tensor_info import TensorInfo
from statehouse.models.tensors.translated_names import (
    names_of_modules,
    norm_names,
    renamed,
    translation_notes,
)

Value = TypeVar("Value", Tensor, TensorInfo)

EXTRA_STATE = "_extra_state"  # what a module's get_extra_state saves beside its tensors
MAX_PREFIX_DEPTH = 4
MAX_LISTED = 6  # names in a note

_HALVES = ("float16", "bfloat16")
_WIDER = {"float16": ("float32", "float64"), "bfloat16": ("float32", "float64"), "float32": ("float64",)}


def adapt(
    architecture: str, config: Mapping[str, Any], state_dict: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors as the architecture has them, and a line for each thing that was done.

    A prefix that all names share and the architecture has not is taken off; values are cast to a wider dtype
    that is declared, which changes none; tied names that are absent, and buffers that the module makes itself, are
    added; needless ones are left out. What does not fit otherwise stays as it is, for the report.
    """
    try:
        module = build_without_values(architecture, config)
        expected = expected_tensors(module)
    except ArchitectureError:  # building the module for good will say why
        return dict(state_dict), []
    given, notes = named_as(architecture, module, state_dict)
    given, cast_notes = _widened(given, expected)
    completed, fit_notes = _completed(module, given)
    return completed, notes + cast_notes + fit_notes


def named_as(
    architecture: str, module: nn.Module, given: Mapping[str, Value]
) -> tuple[dict[str, Value], list[str]]:
    """Return the tensors, or what describes them, by the names that `module` has for them; a line for each step.

    Names are translated as the modules' own loading code, and that of the architecture's library, translates them.
    """
    metadata = getattr(given, "_metadata", None)
    extra = [name for name in given if name.rpartition(".")[2] == EXTRA_STATE]
    notes = [f"left out, extra state that is no tensor of the network: {_listed(extra)}"] if extra else []
    left = {name: value for name, value in given.items() if name not in extra}
    shapes = {name: tuple(tensor.shape) for name, tensor in strip_prefixes(dict(module.state_dict())).items()}
    tensors, prefix_notes = _without_common_prefix(left, shapes)
    notes += prefix_notes
    library = get_architecture(architecture)
    for who, names_of in (
        (f"the loader of {architecture.partition(':')[0]}", library.loader_names),
        ("the module's own loading code", lambda module, given: names_of_modules(module, given, metadata)),
        ("weight_norm of before parametrizations", _old_norm_names),
    ):
        names = names_of(module, tensors)
        after = renamed(tensors, names)
        if any(names.values()) and _fitting(after, shapes) <= _fitting(tensors, shapes):
            continue  # it took the names for older ones than they are
        notes += translation_notes(names, who)
        tensors = after
    return tensors, notes


def _fitting(given: Mapping[str, Value], shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(shapes.get(name) == tuple(value.shape) for name, value in given.items())


def _old_norm_names(module: nn.Module, given: Mapping[str, object]) -> Mapping[str, str | None]:
    return norm_names(module.state_dict().keys(), given)


def _without_common_prefix(
    given: Mapping[str, Value], expected: Collection[str]
) -> tuple[dict[str, Value], list[str]]:
    best, prefix = dict(given), ""
    names, taken = list(given), ""
    for _ in range(MAX_PREFIX_DEPTH):
        first = {name.partition(".")[0] for name in names if "." in name}
        if len(first) != 1 or not all("." in name for name in names):
            break
        taken += f"{first.pop()}."
        names = [name.partition(".")[2] for name in names]
        if _hits(names, expected) > _hits(best, expected):
            best, prefix = dict(zip(names, given.values(), strict=True)), taken
    note = f"prefix {prefix} taken off all {len(given):,} names: the architecture has none such"
    return best, [note] if prefix else []


def _hits(names: Any, expected: Collection[str]) -> int:  # noqa: ANN401 - names, or a dict of them
    return sum(name in expected for name in names)


def _widened(
    given: Mapping[str, Tensor], expected: Mapping[str, TensorInfo]
) -> tuple[dict[str, Tensor], list[str]]:
    cast: dict[tuple[str, str], int] = {}
    tensors = dict(given)
    done: dict[int, Tensor] = {}  # tied tensors stay one
    for name, tensor in given.items():
        own = TensorInfo.of(tensor).dtype
        wanted = expected[name].dtype if name in expected else own
        if wanted in _WIDER.get(own, ()):
            if id(tensor) not in done:
                done[id(tensor)] = tensor.to(getattr(torch, wanted))
            tensors[name] = done[id(tensor)]
            cast[own, wanted] = cast.get((own, wanted), 0) + 1
    notes = [
        f"{count:,} tensors cast from {own} to {wanted}, as the architecture has them: no value changes"
        for (own, wanted), count in cast.items()
    ]
    kept = {TensorInfo.of(tensor).dtype for name, tensor in tensors.items() if name in expected}
    notes += [f"{dtype} is kept, as the architecture has it" for dtype in sorted(kept.intersection(_HALVES))]
    return tensors, notes


def _completed(module: nn.Module, given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    fitting, report = fit(module, given)
    own_names = strip_prefixes({name: name for name in module.state_dict()})
    notes = []
    if report.needless:
        notes.append(f"left out, without a part in the answers: {_listed(report.needless)}")
    if report.made:
        notes.append(f"not in the file, made by the module itself: {_listed(report.made)}")
    if not report.ok:
        return {name: tensor for name, tensor in given.items() if name not in report.needless}, notes
    tied = [name for name in own_names if name not in given and name not in report.made]
    if tied:
        notes.append(f"not in the file, tied to others that are: {_listed(tied)}")
    complete = made_of(module, report) | fitting
    return {name: complete[own] for name, own in own_names.items()}, notes


def _listed(names: Any) -> str:  # noqa: ANN401 - a list or tuple of names
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
