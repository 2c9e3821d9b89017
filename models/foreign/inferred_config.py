"""What the shapes of a foreign file's tensors say of its architecture's config, so that nobody is asked for it.

A value is taken only where a module that is built with it, without values, has just the shapes that the file has.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from statehouse.models.architecture import Architecture, get_architecture
from statehouse.models.errors import StatehouseError
from statehouse.models.foreign.probing import Probe, solve
from statehouse.models.foreign.sizes import SIZES
from statehouse.models.tensors.tensor_info import TensorInfo

INFERRED = "inferred from the tensors:"  # how its note begins
MAX_CONFIG_CHARACTERS = 400  # of a config to paste
MAX_VALUE_CHARACTERS = 80
SIZE_FIELDS = ("num_classes", "in_chans", "in_channels", "img_size", "image_size")


@dataclass(frozen=True)
class Inferred:
    """A config with what the tensors add to it; `notes` tell of that, `problems` where they say otherwise."""

    config: dict[str, Any]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def infer_config(name: str, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> Inferred:
    """Return `config` of the architecture `name` with the fields that `tensors` decide and it leaves out.

    A field that the config has and that the tensors contradict is a problem, with the config that fits.
    """
    try:
        architecture = get_architecture(name)
        found, remarks = _found(architecture, config, tensors)
    except StatehouseError:  # is told where the config is checked
        return Inferred(dict(config))
    contradicted = {field: value for field, value in found.items() if field in config}
    if contradicted:
        return Inferred(dict(config), problems=tuple(_contradictions(config, contradicted, found)))
    if not found:
        return Inferred(dict(config))
    order = [field for field in architecture.config_class.model_fields if field in found]
    told = ", ".join(f"{field} {_written(found[field])}" for field in order)
    return Inferred({**config, **found}, (f"{INFERRED} {told}", *remarks))


def _found(
    architecture: Architecture, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that the tensors decide otherwise than the config, or its defaults, does."""
    probe = Probe(architecture, tensors)
    if probe.fits(config):
        return {}, ()
    if architecture.name in SIZES:
        return _own_sizes(probe, config)
    fields = [*dict.fromkeys([*SIZE_FIELDS, *_required_numbers(architecture)])]
    known = [field for field in fields if probe.has(field)]
    unsaid = [field for field in known if field not in config]
    for asked in (unsaid, known):  # what is said counts, unless nothing fits it
        found = solve(probe, config, asked)
        if found and probe.fits({**config, **found}):
            return found, ()
    return {}, ()


def _own_sizes(probe: Probe, config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    read = SIZES[probe.architecture.name](probe.shapes)
    if read is None:
        return {}, ()
    unsaid = {field: value for field, value in read.fields.items() if field not in config}
    other = {field: value for field, value in read.fields.items() if config.get(field, ...) != value}
    for found in (unsaid, other):
        if found and probe.fits({**read.stand_ins, **config, **found}):
            return found, tuple(remark for field, remark in read.remarks.items() if field not in config)
    return {}, ()


def _required_numbers(architecture: Architecture) -> list[str]:
    fields = architecture.config_class.model_fields
    return [name for name, field in fields.items() if field.is_required() and field.annotation is int]


def _contradictions(
    config: Mapping[str, Any], contradicted: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterable[str]:
    text = json.dumps({**config, **found}, ensure_ascii=False, default=str)
    if len(text) > MAX_CONFIG_CHARACTERS:
        text = json.dumps(dict(found))
    for field, value in contradicted.items():
        yield (
            f"model_config.{field}: the config says {_written(config[field])}, the tensors {_written(value)}; "
            f"say --config {shlex.quote(text)}"
        )


def _written(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…"
