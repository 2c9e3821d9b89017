"""The forms in which people save checkpoints, each taken apart into the same few parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from statehouse.models.errors import CheckpointContentError
from statehouse.models.foreign.reading import AS_IT_IS, Reading
from statehouse.models.foreign.renaming import Renaming, rename
from statehouse.models.foreign.weights import (
    LIGHTNING_KEY,
    STATE_DICT_KEYS,
    Chosen,
    Form,
    Weights,
    choose_weights,
)
from statehouse.models.plain import is_text, plain_problems
from statehouse.models.storage.containers import STATE_DICT_KEY
from statehouse.models.storage.inert.record import Record
from statehouse.models.storage.torch_archive import SAVE_INSTEAD
from statehouse.models.tensors.prefixes import prefix_notes, strip_prefixes
from statehouse.models.training_state import TRAINING_KEYS, TrainingState, parse_training

MAX_LISTED = 12  # entries of a file
FORMAT_VERSION_KEY = "format_version"  # in the metadata: what tells our own form from a tutorial's
SAVE_WHOLE = (
    "get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True)), of "
    "torch.distributed.checkpoint.state_dict"
)
_SHARDS = "torch.distributed."  # their classes' names
_CONFIG_KEYS = ("model_config", "hyper_parameters", "config")
_PROGRESS_KEYS = {"epoch": "epoch", "global_step": "step", "step": "step", "iteration": "iteration"}
_FOREIGN_FIELDS = {"architecture": str, "task": str, "task_config": dict, "metadata": dict}


@dataclass(frozen=True)
class Parts:
    """A checkpoint taken apart; `state_dict` is by names without wrapper prefixes, as the rules leave them."""

    form: Form
    state_dict: dict[str, Tensor]
    fields: dict[str, Any]
    training: TrainingState | None
    origin: str = ""  # what it is, for people: "a Lightning checkpoint (2.6.6), epoch 3, step 1200"
    weights: Weights = "model"
    notes: tuple[str, ...] = ()  # how it is read, where that is not plain
    renaming: Renaming = field(default_factory=Renaming)
    problems: tuple[str, ...] = ()  # of what was asked of the reader


def take_apart(path: Path, held: object, reading: Reading = AS_IT_IS) -> Parts:
    """Recognise the form of what a file held, take it apart, and rename its tensors as `reading` says.

    Raises:
        CheckpointContentError: no known form, or its state_dict is not names and tensors.
    """
    if not isinstance(held, dict):
        raise _unknown_form(path, _holds(held))
    chosen = choose_weights(held, reading.weights)
    if chosen is None:
        raise _unknown_form(path, f"{_holds(held)} with keys {sorted(map(str, held))[:20]}")
    return _renamed(_parts(path, held, chosen), reading)


def _renamed(parts: Parts, reading: Reading) -> Parts:
    renaming, problems = rename(parts.state_dict, reading.rename)
    if problems:
        return replace(parts, renaming=renaming, problems=(*parts.problems, *problems))
    return replace(parts, renaming=renaming, state_dict=renaming.apply(parts.state_dict))


def _parts(path: Path, held: dict[Any, Any], chosen: Chosen) -> Parts:
    state_dict = _checked_state_dict(path, chosen.tensors)
    parts = Parts(
        chosen.form,
        strip_prefixes(state_dict),
        fields={},
        training=None,
        origin=describe_origin(held, chosen),
        weights=chosen.weights,
        notes=(*chosen.notes, *prefix_notes(state_dict)),
        problems=chosen.problems,
    )
    if chosen.key is None:
        return parts
    if chosen.form == "model_state_dict" and _is_our_own(held):
        fields = {key: held[key] for key in held if key not in {STATE_DICT_KEY, *TRAINING_KEYS}}
        own = replace(parts, form="statehouse", origin="describes itself", notes=())
        return replace(own, fields=fields, training=parse_training(held))
    notes = (*parts.notes, *_left_out(held, chosen))
    return replace(parts, fields=_foreign_fields(held), training=parse_training(held), notes=notes)


def _is_our_own(held: Mapping[Any, Any]) -> bool:
    metadata = held.get("metadata")
    return isinstance(metadata, dict) and FORMAT_VERSION_KEY in metadata


def _left_out(held: Mapping[Any, Any], chosen: Chosen) -> list[str]:
    """Say which entries of a foreign file no endpoint needs: optimizers, callbacks, the other weights."""
    used = {chosen.key, *_FOREIGN_FIELDS, *_CONFIG_KEYS, *_PROGRESS_KEYS, LIGHTNING_KEY}
    rest = [str(key) for key in held if key not in used and not _is_empty(held[key])]
    more = f" and {len(rest) - MAX_LISTED:,} more" if len(rest) > MAX_LISTED else ""
    return [f"left out, serving needs none of it: {', '.join(rest[:MAX_LISTED])}{more}"] if rest else []


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, dict | list | tuple | str) and not value)


def describe_origin(held: Mapping[Any, Any], chosen: Chosen) -> str:
    """Say in a phrase what a foreign file is, and how far its training was."""
    if chosen.form == "lightning":
        what = f"a Lightning checkpoint ({str(held[LIGHTNING_KEY])[:20]})"
    elif chosen.key is None:
        what = "a bare state_dict" if chosen.weights == "model" else "a bare state_dict of an AveragedModel"
    else:
        what = f"{{{chosen.key!r}: …}}"
    progress = [
        f"{name} {held[key]:,}"
        for key, name in _PROGRESS_KEYS.items()
        if isinstance(held.get(key), int) and not isinstance(held[key], bool)
    ]
    return ", ".join([what, *progress])


def _foreign_fields(held: Mapping[Any, Any]) -> dict[str, Any]:
    """Take what we know by the type it must have, and leave behind whatever else a trainer wrote."""
    fields = {key: held[key] for key, kind in _FOREIGN_FIELDS.items() if isinstance(held.get(key), kind)}
    if plain_problems(fields.get("metadata")):
        del fields["metadata"]
    config = next((held[key] for key in _CONFIG_KEYS if isinstance(held.get(key), dict)), None)
    return fields if config is None else fields | {"model_config": config}


def _checked_state_dict(path: Path, tensors: Mapping[Any, Any]) -> dict[str, Tensor]:
    odd = [
        f"{key!r}: a {type(tensors[key]).__name__}; expected a name, as Unicode text, and a tensor"
        for key in tensors
        if not (isinstance(key, str) and is_text(key) and isinstance(tensors[key], Tensor))
    ]
    if odd or not tensors:
        raise CheckpointContentError(f"{path}: its state_dict is wrong:", odd or ["it is empty"])
    return {name: tensors[name].detach() for name in tensors}


def _holds(held: object) -> str:
    """Say what a file holds, and what to save instead where that is known."""
    inside = [held[key] for key in held] if isinstance(held, dict) else [held]
    names = {each.name for each in inside if isinstance(each, Record)}
    if any(name.startswith(_SHARDS) for name in names):
        return f"holds one process's part of the tensors ({min(names)}); save {SAVE_WHOLE}: a dict"
    if isinstance(held, Record):
        return f"holds a {held.name}; save its tensors instead: {SAVE_INSTEAD}"
    return f"holds a {type(held).__name__}"


def _unknown_form(path: Path, what: str) -> CheckpointContentError:
    known = ", ".join(f"{{{key!r}: {{…}}}}" for key, _ in STATE_DICT_KEYS)
    return CheckpointContentError(
        f"{path}: is no checkpoint:", [f"{what}; expected {known}, or a dict of nothing but tensors"]
    )
