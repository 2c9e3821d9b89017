"""What is said of a file that names no architecture: those that its tensors fit, and the command for each.

Imports torch: import it late.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from statehouse.models.architecture import list_architectures
from statehouse.models.foreign.fitting_architectures import fitting_architectures
from statehouse.models.libraries.index import Group, candidates
from statehouse.models.tensors.tensor_info import TensorInfo

MOST_NAMES = 3  # of tensors, in a message
LONGEST_NAME = 80  # characters of it
MOST_GROUPS = 3
_START = "architecture: the file names none; "


def which_architecture(path: Path, tensors: Mapping[str, TensorInfo], task: str | None = None) -> list[str]:
    """Return the problem and its ways out, a line each, the likeliest first."""
    registered = [
        _registered(path, name, config, task) for name, config in fitting_architectures(tensors).items()
    ]
    groups = candidates(tensors, most=MOST_GROUPS)
    if registered and not (groups and groups[0].fits):
        return registered
    own = f"say --architecture, one of {', '.join(list_architectures())}"
    if not groups:
        return [f"{_START}{own}; no architecture of torchvision or timm has such names and shapes"]
    lines = [line for group in groups for line in _lines(group, command(path, group, tensors, task))]
    if groups[0].fits:
        return [*registered, *lines]
    return [*lines, f"architecture: or, if none of these was trained, {own}"]


def _registered(path: Path, name: str, config: Mapping[str, Any], task: str | None) -> str:
    told = ", ".join(f"{field} {value}" for field, value in config.items())
    fits = f"all names and shapes fit {name}{f' ({told})' if told else ''}"
    return f"{_START}{fits}: {_own_command(path, name, task)}"


def _own_command(path: Path, name: str, task: str | None) -> str:
    words = ["statehouse", "publish", str(path), "--name", "NAME", "--version", "1.0", "--architecture", name]
    return shlex.join([*words, "--task", task or "tensor"])


def candidate_facts(
    path: Path, tensors: Mapping[str, TensorInfo], task: str | None = None
) -> list[dict[str, Any]]:
    """Return the same as plain data."""
    registered = [
        {"architectures": [name], "config": config, "command": _own_command(path, name, task)}
        for name, config in fitting_architectures(tensors).items()
    ]
    return [
        *registered,
        *(
            {**asdict(group), "config": group.config, "command": command(path, group, tensors, task)}
            for group in candidates(tensors)
            if group.fits or not registered
        ),
    ]


def command(path: Path, group: Group, tensors: Mapping[str, TensorInfo], task: str | None = None) -> str:
    """Return the command that publishes the file as the first architecture of a group."""
    words = ["statehouse", "publish", str(path), "--name", "NAME", "--version", "1.0"]
    words += ["--architecture", group.preferred]
    words += ["--config", json.dumps(group.config)] if group.config else []
    told = task or group.task
    words += ["--task", told] if told else []
    if (
        group.prefix
        and "=" not in group.prefix
        and not all(name.startswith(group.prefix) for name in tensors)
    ):
        words += ["--rename", f"{re.escape(group.prefix)}(.*)=\\1"]
    return shlex.join(words)


def _lines(group: Group, publish: str) -> list[str]:
    fitting = f"all {group.of}" if group.fits else f"{group.fitting} of {group.of}"
    told = f"{_START}{fitting} names and shapes fit {', '.join(group.architectures)}{_with(group)}: {publish}"
    if len(group.architectures) == 1:
        return [told]
    choice = "architecture: the file does not tell which of them it is; choose: they differ in"
    if not group.differences:
        return [told, f"{choice} no setting that their libraries name"]
    first, *rest = group.differences
    return [told, f"{choice} {first}", *(f"architecture: they differ in {each}" for each in rest)]


def _with(group: Group) -> str:
    """Return what the shapes say, and what does not fit."""
    told = [f"{name} {value}" for name, value in group.config.items()]
    for what, names in (
        ("without", group.missing),
        ("with, unlike it,", group.unexpected),
        ("with other shapes of", group.reshaped),
    ):
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        told += [f"{what} {', '.join(map(_shortened, names[:MOST_NAMES]))}{more}"] if names else []
    if group.in_chans and not group.preferred.startswith("timm:"):
        told.append("whose builder takes 3 channels alone")
    return f" ({'; '.join(told)})" if told else ""


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
