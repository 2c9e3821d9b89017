"""A folder as timm saves it for Hugging Face's hub: what its config.json says of the weights beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statehouse.models.errors import CheckpointContentError, CheckpointUnreadableError
from statehouse.models.plain import parse_json_object, plain_problems

CONFIG_FILE = "config.json"
MAX_CONFIG_BYTES = 4 * 1024 * 1024  # ImageNet-22k's labels are half of one


@dataclass(frozen=True)
class TimmFolder:
    """An architecture, the arguments that it was built with, and its `pretrained_cfg` with its labels in it."""

    architecture: str
    config: dict[str, Any]
    pretrained: dict[str, Any]


def read_timm_folder(path: Path) -> TimmFolder | None:
    """Return what the folder at `path` says of itself, None where it is none of timm's.

    Raises:
        CheckpointContentError: its config.json is none of timm's after all; every problem is listed.
    """
    file = path / CONFIG_FILE
    if not file.is_file() or file.stat().st_size > MAX_CONFIG_BYTES:
        return None
    try:
        held = parse_json_object(file, file.read_bytes(), CONFIG_FILE)
    except (CheckpointUnreadableError, OSError):  # whoever reads the folder next says so
        return None
    if "pretrained_cfg" not in held or "architecture" not in held:
        return None
    expected = {"architecture": str, "pretrained_cfg": dict, "model_args": dict, "num_classes": int}
    problems = [
        f"{name}: is a {type(held[name]).__name__}; expected a {kind.__name__}"
        for name, kind in expected.items()
        if name in held and not isinstance(held[name], kind)
    ]
    problems += plain_problems(held)
    labels = {} if problems else _labels(held, problems)
    if problems:
        raise CheckpointContentError(f"{file}: is not as timm writes it:", problems)
    count = {"num_classes": held["num_classes"]} if "num_classes" in held else {}
    return TimmFolder(
        f"timm:{held['architecture']}",
        {**held.get("model_args", {}), **count},
        {**held["pretrained_cfg"], **count, **labels},
    )


def _labels(held: Mapping[str, Any], problems: list[str]) -> dict[str, list[str]]:
    """Return the labels in the order of the classes, described where they are; they may come by class number."""
    names = held.get("label_names") or held["pretrained_cfg"].get("label_names")
    if not names:
        return {}
    if isinstance(names, dict):
        expected = [str(number) for number in range(len(names))]
        if sorted(names) != sorted(expected):
            problems.append(
                f"label_names: has {list(names)[:10]}; expected one for each of 0 to the last class"
            )
            return {}
        names = [names[number] for number in expected]
    described = held.get("label_descriptions")
    described = described if isinstance(described, dict) else {}
    return {"label_names": [str(described.get(name, name)) for name in names]}
