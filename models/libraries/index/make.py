"""Make the index anew: `python -m statehouse.models.libraries.index.make`, some minutes of one core.

Every architecture that torchvision and timm list is built without values. What cannot be built is in the index by
name, with the reason.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from statehouse.models.architecture import get_architecture, validate_config
from statehouse.models.building import build_without_values
from statehouse.models.errors import ArchitectureError
from statehouse.models.extras import import_extra
from statehouse.models.libraries.index.differences import differences
from statehouse.models.libraries.index.facts import Facts, facts_of, shown
from statehouse.models.libraries.index.matching import COUNTERS
from statehouse.models.libraries.index.stored import FILE, Entry, Index, Shape, make_index, write_index

LIBRARIES = ("torchvision", "timm")
CLASSES = 1000  # of timm's; some have others, or none, unless they are told
FEWEST_CLASSES = 10  # fewer would explain any shape
_TASKS = {  # by the module of torchvision that builds it
    "torchvision.models.detection": "object_detection",
    "torchvision.models.segmentation": "image_segmentation",
    "torchvision.models.video": None,
    "torchvision.models.optical_flow": None,
}
_TOLD = ("mean", "std", "interpolation", "input_size", "crop_pct")


@dataclass(frozen=True)
class Built:
    """What the index needs of one architecture."""

    name: str
    tensors: dict[str, Shape]
    classes: int | None
    task: str | None
    facts: Facts
    preprocessing: dict[str, str]


def all_names() -> list[str]:
    """Return every architecture that the libraries list."""
    torchvision = import_extra("statehouse.models.libraries.torchvision", "vision", needed_for="the index")
    timm = import_extra("statehouse.models.libraries.timm", "vision", needed_for="the index")
    return [
        *(f"torchvision:{name}" for name in torchvision.torchvision.models.list_models()),
        *(f"timm:{name}" for name in timm.timm.list_models()),
    ]


def make(names: Iterable[str]) -> Index:
    """Build them all, and put those into groups that are equal in names and shapes."""
    unbuilt: dict[str, str] = {}
    groups: dict[frozenset[tuple[str, Shape]], list[Built]] = defaultdict(list)
    for name in names:
        try:
            built = build(name)
        except Exception as error:  # noqa: BLE001 - a library's module may raise anything; it is listed
            unbuilt[name] = f"{type(error).__name__}: {error}"
        else:
            groups[frozenset(built.tensors.items())].append(built)
    return make_index(
        map(_entry, groups.values()), {library: version(library) for library in LIBRARIES}, unbuilt
    )


def _entry(group: list[Built]) -> tuple[Entry, Mapping[str, Shape]]:
    ordered = sorted(group, key=lambda built: (built.name.startswith("timm:"), len(built.name), built.name))
    told = differences(
        {built.name: built.facts for built in ordered}, {built.name: built.preprocessing for built in ordered}
    )
    names = tuple(built.name for built in ordered)
    first = ordered[0]
    return Entry(names, first.classes, first.task, told if len(names) > 1 else ()), first.tensors


def build(name: str) -> Built:
    """Build one architecture, one of timm's with 1000 classes where it can have them."""
    classes, module = _build(name)
    return Built(
        name,
        tensors_of(module),
        classes,
        _task(name) if classes else None,
        facts_of(module),
        dict(_preprocessing(name, module)),
    )


def _task(name: str) -> str | None:
    made_in = get_architecture(name).builder.__qualname__
    return next(
        (task for place, task in _TASKS.items() if made_in.startswith(f"{place}.")), "image_classification"
    )


def tensors_of(module: nn.Module) -> dict[str, Shape]:
    """Return the names and shapes of a module's state_dict that are compared."""
    return {
        name: tuple(value.shape)
        for name, value in module.state_dict().items()
        if isinstance(value, torch.Tensor) and not name.endswith(COUNTERS)
    }


def _build(name: str) -> tuple[int | None, nn.Module]:
    if name.startswith("timm:"):
        try:
            return CLASSES, build_on_meta(name, {"num_classes": CLASSES})
        except ArchitectureError:  # an encoder has no classes
            return None, build_on_meta(name, {})
    architecture = get_architecture(name)
    classes = architecture.class_count(validate_config(name, {}))
    return classes if classes and classes >= FEWEST_CLASSES else None, build_on_meta(name, {})


def build_on_meta(name: str, config: Mapping[str, Any]) -> nn.Module:
    """Build an architecture without values; raises ArchitectureError where it cannot be."""
    architecture, typed = get_architecture(name), validate_config(name, config)
    try:
        with torch.device("meta"):
            return architecture.build(typed)
    except ArchitectureError:  # some read their own values while they are built
        return build_without_values(name, config)


def _preprocessing(name: str, module: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield what the library says of the images of its own weights."""
    said = _of_torchvision(name) if name.startswith("torchvision:") else _of_timm(module)
    for field in _TOLD:
        value = said.get(field)
        if value is not None:
            yield field, shown(tuple(value) if isinstance(value, list) else value)


def _of_torchvision(name: str) -> dict[str, Any]:
    known = cast("Any", get_architecture(name)).known_weights()
    preset = known[0].transforms() if known else None
    return {field: getattr(preset, field, None) for field in ("mean", "std")}


def _of_timm(module: nn.Module) -> dict[str, Any]:
    config = cast("Any", getattr(module, "pretrained_cfg", {}))
    return dict(config.to_dict() if hasattr(config, "to_dict") else config)


def main() -> None:
    """Write the index and say what is in it."""
    parser = argparse.ArgumentParser(description="Make the index of names and shapes anew.")
    parser.add_argument("names", nargs="*", help="these architectures alone")
    parser.add_argument("--to", type=Path, default=FILE, help="the file to write")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning, module="torchvision")  # of initial values
    index = make(chosen.names or all_names())
    write_index(index, chosen.to)
    count = sum(len(entry.architectures) for entry in index.entries)
    lines = [
        f"{count} architectures in {len(index.entries)} groups, {len(index.unbuilt)} not built:",
        *(f"  {name}: {reason}" for name, reason in index.unbuilt.items()),
        f"{chosen.to}: {chosen.to.stat().st_size:,} bytes",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
