"""The forms in which people save checkpoints, each taken apart into the same few parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from statehouse.models.errors import CheckpointContentError
from statehouse.models.foreign.locating import choose_by_path, is_state_dict
from statehouse.models.foreign.mined_module import mine_modules
from statehouse.models.foreign.reading import AS_IT_IS, Reading
from statehouse.models.foreign.renaming import Renaming, rename
from statehouse.models.foreign.weights import (
    LIGHTNING_KEY,
    Chosen,
    Form,
    Weights,
    choose_weights,
)
from statehouse.models.plain import is_text, plain_problems
from statehouse.models.storage.containers import STATE_DICT_KEY
from statehouse.models.storage.inert.record import Named, Record, printable
from statehouse.models.tensors.prefixes import prefix_notes, strip_prefixes
from statehouse.models.training_state import TRAINING_KEYS, TrainingState, parse_training

MAX_LISTED = 12  # entries of a file
FORMAT_VERSION_KEY = "format_version"  # in the metadata: what tells our own form from a tutorial's
_CONFIG_KEYS = ("model_config", "hyper_parameters", "config")
_PROGRESS_KEYS = {"epoch": "epoch", "global_step": "step", "step": "step", "iteration": "iteration"}
EXTRA_STATE = "_extra_state"  # what modules of some libraries keep beside their tensors
# What a Lightning module computes its loss and its metrics by, which have tensors of their own.
_OF_LIGHTNING = re.compile(
    r"criterion|criteria|loss|losses|loss_fn|loss_func|.*_loss|metrics?|.*_(metrics?|acc|accuracy|f1|auroc|mae|mse|map)"
)
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
    modules: Mapping[str, str] = field(
        default_factory=dict
    )  # of a pickled module: what each in it is, by name


def take_apart(path: Path, held: object, reading: Reading = AS_IT_IS) -> Parts:
    """Recognise the form of what a file held, take it apart, and rename its tensors as `reading` says.

    A pickled module counts as its state_dict.

    Raises:
        CheckpointContentError: nothing is a state_dict of names and tensors, or several are and none was chosen.
    """
    held, mined = mine_modules(held)
    chosen = (
        choose_weights(held, reading.weights) if isinstance(held, dict) and reading.from_key is None else None
    )
    if chosen is None or not is_state_dict(chosen.tensors):
        chosen = choose_by_path(path, held, reading.from_key, chosen)
    about = held if isinstance(held, dict) else {}
    parts = _parts(path, about, chosen)
    notes = (*(module.note(where) for where, module in mined.items()), *parts.notes)
    modules = mined.get(chosen.key or "")
    return _renamed(replace(parts, notes=notes, modules=modules.tree if modules else {}), reading)


def _renamed(parts: Parts, reading: Reading) -> Parts:
    renaming, problems = rename(parts.state_dict, reading.rules)
    if problems:
        return replace(parts, renaming=renaming, problems=(*parts.problems, *problems))
    return replace(parts, renaming=renaming, state_dict=renaming.apply(parts.state_dict))


def _parts(path: Path, held: dict[Any, Any], chosen: Chosen) -> Parts:
    state_dict, dropped = _checked_state_dict(path, chosen)
    parts = Parts(
        chosen.form,
        strip_prefixes(state_dict),
        fields={},
        training=None,
        origin=describe_origin(held, chosen),
        weights=chosen.weights,
        notes=(*chosen.notes, *prefix_notes(state_dict), *dropped),
        problems=chosen.problems,
    )
    if chosen.key is None:
        return parts
    if chosen.form == "model_state_dict" and _is_our_own(held):
        fields = {key: held[key] for key in held if key not in {STATE_DICT_KEY, *TRAINING_KEYS}}
        own = replace(parts, form="statehouse", origin="describes itself", notes=())
        return replace(own, fields=fields, training=parse_training(held))
    fields, unusable = _foreign_fields(held)
    notes = (*parts.notes, *unusable, *_left_out(held, chosen))
    return replace(parts, fields=fields, training=parse_training(held), notes=notes)


def _is_our_own(held: Mapping[Any, Any]) -> bool:
    metadata = held.get("metadata")
    return isinstance(metadata, dict) and FORMAT_VERSION_KEY in metadata


def _left_out(held: Mapping[Any, Any], chosen: Chosen) -> list[str]:
    """Say which entries of a foreign file no endpoint needs: optimizers, callbacks, the other weights."""
    used = {chosen.key, *_FOREIGN_FIELDS, *_CONFIG_KEYS, *_PROGRESS_KEYS, LIGHTNING_KEY}
    used |= {key for key in held if isinstance(key, str) and (chosen.key or "").startswith(f"{key}.")}
    rest = [_named(key, held[key]) for key in held if key not in used and not _is_empty(held[key])]
    more = f" and {len(rest) - MAX_LISTED:,} more" if len(rest) > MAX_LISTED else ""
    left_out = f"left out, serving needs none of it: {', '.join(rest[:MAX_LISTED])}{more}"
    scalers = [key for key in held if isinstance(held[key], Record) and _is_scaler(held[key])]
    return [*([left_out] if rest else []), *(_scaler_note(key, held[key]) for key in scalers)]


def _named(key: object, value: object) -> str:
    """Name an entry, and the class of one that is no plain data."""
    return (
        f"{printable(str(key))} ({value.name})" if isinstance(value, Record | Named) else printable(str(key))
    )


def _is_scaler(record: Record) -> bool:
    return record.name.startswith("sklearn.preprocessing.") and record.name.endswith("Scaler")


def _scaler_note(key: object, record: Record) -> str:
    return (
        f"{printable(str(key))} ({record.name}) is not applied: give mean and std of each feature in "
        "--task-config"
    )


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


def _foreign_fields(held: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """Take what we know by the type it must have, and leave the rest behind; say what is left out of a config."""
    fields = {key: held[key] for key, kind in _FOREIGN_FIELDS.items() if isinstance(held.get(key), kind)}
    if plain_problems(fields.get("metadata")):
        del fields["metadata"]
    key = next((key for key in _CONFIG_KEYS if isinstance(held.get(key), dict)), None)
    if key is None:
        return fields, []
    odd = [name for name in held[key] if isinstance(held[key][name], Record | Named)]
    notes = [f"{key}.{_named(name, held[key][name])} is left out: it is no plain data" for name in odd]
    return fields | {"model_config": {name: held[key][name] for name in held[key] if name not in odd}}, notes


def _checked_state_dict(path: Path, chosen: Chosen) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors by name, and a line for what stands among them and is left out."""
    tensors = chosen.tensors
    extra = [key for key in tensors if isinstance(key, str) and key.rpartition(".")[2] == EXTRA_STATE]
    beside = [key for key in tensors if key not in extra and not isinstance(tensors[key], Tensor)]
    if not is_state_dict({key: tensors[key] for key in tensors if key not in extra}):
        beside = []  # each is a problem
    of_training = [key for key in tensors if chosen.form == "lightning" and _is_of_training(key)]
    of_training = of_training if len(of_training) < len(tensors) else []
    dropped = {*extra, *beside, *of_training}
    kept = {key: tensors[key] for key in tensors if key not in dropped}
    odd = [
        f"{key!r}: a {_kind(kept[key])}; expected a name, as Unicode text, and a tensor"
        for key in kept
        if not (isinstance(key, str) and is_text(key) and isinstance(kept[key], Tensor))
    ]
    if odd or not kept:
        raise CheckpointContentError(f"{path}: its state_dict is wrong:", odd or ["it is empty"])
    told = [
        ("what modules keep beside their tensors", extra),
        ("no tensors", beside),
        ("of training", of_training),
    ]
    notes = [f"left out of the state_dict, {why}: {_listed(names)}" for why, names in told if names]
    return {name: kept[name].detach() for name in kept}, notes


def _is_of_training(name: object) -> bool:
    return isinstance(name, str) and bool(_OF_LIGHTNING.fullmatch(name.partition(".")[0]))


def _listed(names: Sequence[object]) -> str:
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return ", ".join(printable(str(name)) for name in names[:MAX_LISTED]) + more


def _kind(value: object) -> str:
    return value.name if isinstance(value, Record | Named) else type(value).__name__
