"""The forms in which people save checkpoints, each taken apart into the same few parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from models.containers import STATE_DICT_KEY
from models.errors import CheckpointContentError
from models.plain import is_text, plain_problems
from models.prefixes import strip_prefixes
from models.reading import AS_IT_IS, Reading
from models.renaming import Renaming, rename
from models.training import TRAINING_KEYS, TrainingState, parse_training

# What save_checkpoint writes; its keys as tutorials write them; Lightning's; torchvision's; bare tensors.
Form = Literal["statehouse", "model_state_dict", "state_dict", "model", "bare"]

FORMAT_VERSION_KEY = "format_version"  # in the metadata: what tells our own form from a tutorial's
_STATE_DICT_KEYS: tuple[tuple[str, Form], ...] = (
    (STATE_DICT_KEY, "model_state_dict"),
    ("state_dict", "state_dict"),
    ("model", "model"),
)
_CONFIG_KEYS = ("model_config", "hyper_parameters", "config")
_FOREIGN_FIELDS = {"architecture": str, "task": str, "task_config": dict, "metadata": dict}


@dataclass(frozen=True)
class Parts:
    """A checkpoint taken apart; `state_dict` is by names without wrapper prefixes, as the rules leave them."""

    form: Form
    state_dict: dict[str, Tensor]
    fields: dict[str, Any]
    training: TrainingState | None
    renaming: Renaming = field(default_factory=Renaming)
    problems: tuple[str, ...] = ()  # of the rules; the names are then as in the file


def take_apart(path: Path, held: object, reading: Reading = AS_IT_IS) -> Parts:
    """Recognise the form of what a file held, take it apart, and rename its tensors as `reading` says.

    Raises:
        CheckpointContentError: no known form, or its state_dict is not names and tensors.
    """
    parts = _take_apart(path, held)
    renaming, problems = rename(parts.state_dict, reading.rename)
    if problems:
        return replace(parts, renaming=renaming, problems=tuple(problems))
    return replace(parts, renaming=renaming, state_dict=renaming.apply(parts.state_dict))


def _take_apart(path: Path, held: object) -> Parts:
    if not isinstance(held, dict):
        raise _unknown_form(path, f"holds a {type(held).__name__}")
    for key, form in _STATE_DICT_KEYS:
        if isinstance(held.get(key), dict):
            return _parts(path, form, held, held[key])
    if held and all(isinstance(held[key], Tensor) for key in held):
        return Parts("bare", _checked_state_dict(path, held), {}, None)
    raise _unknown_form(path, f"holds a dict with keys {sorted(map(str, held))[:20]}")


def _parts(path: Path, form: Form, held: dict[Any, Any], tensors: dict[Any, Any]) -> Parts:
    metadata = held.get("metadata")
    state_dict = _checked_state_dict(path, tensors)
    if form == "model_state_dict" and isinstance(metadata, dict) and FORMAT_VERSION_KEY in metadata:
        known = {STATE_DICT_KEY, *TRAINING_KEYS}
        fields = {key: held[key] for key in held if key not in known}
        return Parts("statehouse", state_dict, fields, parse_training(held))
    return Parts(form, state_dict, _foreign_fields(held), parse_training(held))


def _foreign_fields(held: Mapping[Any, Any]) -> dict[str, Any]:
    """Take what we know by the type it must have, and leave behind whatever else a trainer wrote."""
    fields = {key: held[key] for key, kind in _FOREIGN_FIELDS.items() if isinstance(held.get(key), kind)}
    if plain_problems(fields.get("metadata")):
        del fields["metadata"]
    config = next((held[key] for key in _CONFIG_KEYS if isinstance(held.get(key), dict)), None)
    return fields if config is None else fields | {"model_config": config}


def _checked_state_dict(path: Path, tensors: dict[Any, Any]) -> dict[str, Tensor]:
    odd = [
        f"{key!r}: a {type(tensors[key]).__name__}; expected a name, as Unicode text, and a tensor"
        for key in tensors
        if not (isinstance(key, str) and is_text(key) and isinstance(tensors[key], Tensor))
    ]
    if odd or not tensors:
        raise CheckpointContentError(f"{path}: its state_dict is wrong:", odd or ["it is empty"])
    return strip_prefixes({name: tensors[name].detach() for name in tensors})


def _unknown_form(path: Path, what: str) -> CheckpointContentError:
    known = ", ".join(f"{{{key!r}: {{…}}}}" for key, _ in _STATE_DICT_KEYS)
    return CheckpointContentError(
        f"{path}: is no checkpoint:", [f"{what}; expected {known}, or a dict of nothing but tensors"]
    )
