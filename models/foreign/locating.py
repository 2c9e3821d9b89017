"""Where in a file the weights are, when no known key says so: every dict of tensors, at any depth, by its path."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from torch import Tensor

from statehouse.models.errors import CheckpointContentError
from statehouse.models.foreign.weights import STATE_DICT_KEYS, Chosen
from statehouse.models.plain import MAX_DEPTH, MAX_VALUES
from statehouse.models.storage.inert.record import Record, printable
from statehouse.models.storage.torch_archive import SAVE_INSTEAD

# What training leaves beside the weights has tensors too: moments of optimizers, states of generators.
_OF_TRAINING = re.compile(
    r"optim|sched|scaler|rng|random|moment|callback|criterion|loss|^opt|^sampler", re.IGNORECASE
)
_DISTRIBUTED = "torch.distributed."  # how the names of their classes begin
SAVE_WHOLE = (
    "get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True)), of "
    "torch.distributed.checkpoint.state_dict"
)
_OF_OPTIMIZERS = {"param_groups", "state"}
MOST_BESIDE = 8  # values that are no tensors, in a dict of tensors: an epoch, a version


def choose_by_path(path: Path, held: object, asked: str | None, known: Chosen | None = None) -> Chosen:
    """Return the state_dict at the path that was `asked` for, or the only one that there is.

    `known` is what a known key has, where that is no state_dict itself: it is looked for inside, then.

    Raises:
        CheckpointContentError: there is none; or there are several, or none at that path, each with what to type.
    """
    if asked is not None:
        chosen = at_path(held, asked)
        if is_state_dict(chosen):
            return Chosen(
                "state_dict", asked, chosen, notes=(f"the weights are taken from {asked}, as asked",)
            )
        raise CheckpointContentError(f"{path}: cannot be read so:", [_not_there(held, asked)])
    found = find_weights(held)
    if known is not None and known.key is not None:
        inside = {where: each for where, each in found.items() if where.startswith(f"{known.key}.")}
        found = inside or found
    if len(found) == 1:
        [(where, tensors)] = found.items()
        if not where:
            return Chosen("bare", None, tensors)
        note = f"the weights are at {printable(where)}, the only state_dict in the file"
        return Chosen("state_dict", where, tensors, notes=(note,))
    if not found and (shards := _shards(held)):
        what = f"holds one process's part of the tensors ({min(shards)}); save {SAVE_WHOLE}: a dict"
        raise CheckpointContentError(f"{path}: is no whole checkpoint:", [what])
    if known is not None and not found:
        return known  # what is wrong with it is told
    raise CheckpointContentError(
        f"{path}: is no checkpoint:" if not found else f"{path}: holds several state_dicts:",
        ([_described(where, tensors) for where, tensors in found.items()] or [_unknown(held)]),
    )


def _described(where: str, tensors: Mapping[Any, Any]) -> str:
    count = sum(isinstance(tensors[name], Tensor) for name in tensors)
    numbers = sum(tensors[name].numel() for name in tensors if isinstance(tensors[name], Tensor))
    told = f"{count:,} tensors, {numbers:,} numbers"
    return f"one of several: {printable(where)} ({told}): say --from {shlex.quote(printable(where))}"


def _not_there(held: object, asked: str) -> str:
    found = at_path(held, asked)
    what = (
        "nothing"
        if found is None
        else f"a {found.name if isinstance(found, Record) else type(found).__name__}"
    )
    known = ", ".join(printable(where) for where in find_weights(held) if where)
    return f"--from {asked}: there is {what}; expected a state_dict, as at: {known or 'nowhere in this file'}"


def _shards(held: object, depth: int = 2) -> set[str]:
    """Return the classes of distributed tensors in what a file held."""
    if isinstance(held, Record):
        return {held.name} if held.name.startswith(_DISTRIBUTED) else set()
    inside = [held[key] for key in held] if isinstance(held, Mapping) and depth else []
    return set().union(*(_shards(each, depth - 1) for each in inside))


def _unknown(held: object) -> str:
    if isinstance(held, list | tuple) and held and all(isinstance(each, Tensor) for each in held):
        return f"holds {len(held):,} tensors without names, as of model.parameters(); save model.state_dict()"
    what = (
        f"a {held.name} (save its tensors instead: {SAVE_INSTEAD})"
        if isinstance(held, Record)
        else f"a {type(held).__name__}"
    )
    if isinstance(held, dict):
        what = f"a dict with keys {[printable(str(key)) for key in list(held)[:20]]}"
    known = ", ".join(f"{{{key!r}: {{…}}}}" for key, _ in STATE_DICT_KEYS)
    return f"holds {what}; expected {known}, a pickled module, or a dict of tensors anywhere in it"


def find_weights(held: object) -> dict[str, Mapping[Any, Any]]:
    """Return every dict of tensors in what a file held, by its path: `state.model`, `0`; the file itself is ``""``.

    Paths can be given to `at_path`. A dict inside one that is found is no other; what belongs to training is left out.
    """
    found: dict[str, Mapping[Any, Any]] = {}
    for count, (path, value) in enumerate(_walk(held, "", 0)):
        if count >= MAX_VALUES:
            break
        found[path] = value
    return found


def _walk(value: object, path: str, depth: int) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    if is_state_dict(value):
        yield path, value
    elif depth < MAX_DEPTH:
        for key, item in _entries(value):
            yield from _walk(item, f"{path}.{key}" if path else key, depth + 1)


def _entries(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, list | tuple):
        yield from ((str(index), item) for index, item in enumerate(value))
    elif isinstance(value, Mapping) and not _OF_OPTIMIZERS.issubset(value):
        yield from (
            (key, value[key]) for key in value if isinstance(key, str) and not _OF_TRAINING.search(key)
        )


def is_state_dict(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether this is a dict of names and tensors, but for a few plain values beside them."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return False
    tensors = sum(isinstance(value[key], Tensor) for key in value)
    others = len(value) - tensors
    plain = all(isinstance(value[key], Tensor | bool | int | float | str | None) for key in value)
    return tensors > 0 and (others == 0 or (plain and tensors >= others <= MOST_BESIDE))


def at_path(held: object, path: str) -> object:
    """Return what is at a path such as `state.model`, or None; keys with dots in them are found too."""
    if not path:
        return held
    if isinstance(held, Mapping):
        keys = [key for key in held if isinstance(key, str) and (path == key or path.startswith(f"{key}."))]
        for key in sorted(keys, key=len, reverse=True):
            if (found := at_path(held[key], path[len(key) + 1 :])) is not None:
                return found
    elif isinstance(held, list | tuple):
        first, _, rest = path.partition(".")
        if first.isdecimal() and int(first) < len(held):
            return at_path(held[int(first)], rest)
    return None
