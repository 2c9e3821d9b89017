"""A foreign state_dict made what its architecture declares, where that is exact; each step is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from statehouse.models.building import build_without_values
from statehouse.models.errors import ArchitectureError
from statehouse.models.tensors.state_dict import expected_tensors, fit, made_of, strip_prefixes
from statehouse.models.tensors.tensor_info import TensorInfo

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
    given, notes = _without_common_prefix(state_dict, expected)
    given, cast_notes = _widened(given, expected)
    completed, fit_notes = _completed(module, given)
    return completed, notes + cast_notes + fit_notes


def _without_common_prefix(
    given: Mapping[str, Tensor], expected: Mapping[str, TensorInfo]
) -> tuple[dict[str, Tensor], list[str]]:
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


def _hits(names: Any, expected: Mapping[str, TensorInfo]) -> int:  # noqa: ANN401 - names, or a dict of them
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
