"""Names of older or other forms of a module, translated by what its own loading code does to names.

The hooks and the `_load_from_state_dict` of each part run on a dict of names and empty tensors of the meta device. What
comes out under another name is the same tensor, by identity; what they would compute anew is left as it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from statehouse.models.tensors.tensor_info import TensorInfo

MAX_SHOWN = 3  # names in a note

Names = dict[str, str | None]  # old → new, None: left out
Loader = Callable[[dict[str, Tensor]], Mapping[str, Any]]


def names_of_modules(
    module: nn.Module, given: Mapping[str, Tensor | TensorInfo], metadata: Mapping[str, Any] | None = None
) -> Names:
    """Return which names `module` itself translates while it loads a state_dict with these tensors.

    `metadata` is the state_dict's `_metadata`: the versions of the modules that wrote it; torch goes by none
    where there is none.
    """

    def load(state: dict[str, Tensor]) -> Mapping[str, Any]:
        _load_parts(module, state, metadata or {}, "")
        return state

    return names_of_loader(load, module.state_dict(), given)


def names_of_loader(
    load: Loader,
    expected: Collection[str],
    given: Mapping[str, Tensor | TensorInfo],
    *,
    leaves_out: bool = False,
) -> Names:
    """Return which of the given names `load` changes to ones that are `expected`.

    With `leaves_out`, names that it takes away without a successor are among them too.
    """
    if all(name in given for name in expected) and all(name in expected for name in given):
        return {}
    markers = {name: _marker(each) for name, each in given.items()}
    old_names = {id(marker): name for name, marker in markers.items()}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # what they advise is for training on
        after = load(dict(markers))
    found = {old_names[id(value)]: name for name, value in after.items() if id(value) in old_names}
    changed: Names = {old: new for old, new in found.items() if old != new and new in expected}
    if len(set(renamed(given, changed))) < len(given):  # two under one name: one of them is left as it was
        changed = {old: new for old, new in changed.items() if new not in given and old not in expected}
    computed = [name for name, value in after.items() if id(value) not in old_names]
    if leaves_out and not computed:  # what has a part in a new value is not left out unsaid
        changed |= {old: None for old in given if old not in found and old not in expected}
    return changed


def _marker(given: Tensor | TensorInfo) -> Tensor:
    dtype = given.dtype if isinstance(given, Tensor) else getattr(torch, given.dtype)
    return torch.empty(tuple(given.shape), dtype=dtype, device="meta")


def _load_parts(
    module: nn.Module, state: dict[str, Tensor], metadata: Mapping[str, Any], prefix: str
) -> None:
    """Do as torch's `load_state_dict` does, part by part; no part's failure keeps the others from theirs.

    Copying a tensor without values fails, which torch collects; so no part changes but in its names.
    """
    own = metadata.get(prefix[:-1])
    with suppress(Exception):  # code of anybody's; what it did not translate is in the report
        module._load_from_state_dict(state, prefix, dict(own or {}), False, [], [], [])
    for name, child in list(module._modules.items()):  # one part under two names has two prefixes
        if child is not None:
            _load_parts(child, state, metadata, f"{prefix}{name}.")


def norm_names(expected: Collection[str], given: Collection[str]) -> Names:
    """Return the names of the new `weight_norm` as the old has them, which torch translates in one direction only."""
    endings = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    return names_by_ending(endings, expected, given)


def names_by_ending(endings: Mapping[str, str], expected: Collection[str], given: Collection[str]) -> Names:
    """Return the names that end as `endings` says and are expected with the other ending."""
    changed: Names = {}
    for name in given:
        for old, new in endings.items():
            other = name.removesuffix(old) + new
            if name.endswith(old) and name not in expected and other in expected and other not in given:
                changed[name] = other
    return changed


def renamed(given: Mapping[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
    """Return `given` by its new names, without what is left out."""
    changed = {names.get(name, name): value for name, value in given.items()}
    return {name: value for name, value in changed.items() if name is not None}


def translation_notes(names: Mapping[str, str | None], who: str) -> list[str]:
    """Say how many names `who` translated, and a few of them."""
    moved = [f"{old} → {new}" for old, new in names.items() if new is not None]
    dropped = [old for old, new in names.items() if new is None]
    notes = []
    if moved:
        notes.append(f"{len(moved):,} {_plural(moved)} translated as {who} does: {_few(moved)}")
    if dropped:
        notes.append(f"{len(dropped):,} {_plural(dropped)} left out as {who} does: {_few(dropped)}")
    return notes


def _plural(names: Collection[str]) -> str:
    return "name" if len(names) == 1 else "names"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
