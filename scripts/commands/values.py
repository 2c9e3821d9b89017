"""Values as people type them: durations (``500ms``, ``1h``), sizes (``500MB``, ``2GiB``), rules, mappings."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from statehouse.scripts.errors import ArgumentError

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")


def parse_duration(text: str) -> float:
    """Return seconds, which a bare number is; ArgumentError for anything but a positive duration."""
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2] or ""] if found else 0.0
    if not 0 < seconds < math.inf:
        raise ArgumentError(
            f"{text!r} is no duration; give a number above 0, of seconds or with its unit: 500ms, 10s, 2m or 1h."
        )
    return seconds


def read_mapping(option: str, given: str | None) -> dict[str, Any] | None:
    """Return what ``--config`` and the like mean: JSON as given, or a JSON or YAML file's content.

    Raises ArgumentError when it is neither, or not a mapping.
    """
    if given is None:
        return None
    try:
        value = json.loads(given) if given.lstrip().startswith("{") else _content_of(option, given)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ArgumentError(f"{option} {given[:100]!r} cannot be read as JSON or YAML: {error}") from error
    if not isinstance(value, dict):
        raise ArgumentError(f"{option} is a {type(value).__name__}; expected names and values, a mapping.")
    return value


def _content_of(option: str, file: str) -> Any:  # noqa: ANN401 - whatever it holds
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(
            f"{option} {file!r} is neither JSON nor a file that can be read ({error}). "
            """Give JSON such as '{"input_size": 4}', or a .json or .yaml file."""
        ) from error
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


_BYTES = {"": 1, "B": 1, **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", start=1)}}
_BYTES |= {f"{prefix}IB": 1024**power for power, prefix in enumerate("KMGT", start=1)}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)")


def parse_size(option: str, text: str) -> int:
    """Return the bytes that ``text`` means; raises ArgumentError for what is no size of at least one byte."""
    match = _SIZE.fullmatch(text.strip())
    unit = _BYTES.get(match[2].upper()) if match else None
    size_bytes = round(float(match[1]) * unit) if match and unit else 0
    if size_bytes < 1:
        raise ArgumentError(
            f"{option} {text!r} is no size; expected a number and a unit, such as 500MB, 1GB or 2GiB."
        )
    return size_bytes


def read_rules(given: Iterable[str]) -> list[str]:
    """Return the rules, with ``@FILE`` replaced by the lines of that file; ``#`` begins a line of comment.

    Raises ArgumentError when a file cannot be read.
    """
    return [rule for each in given for rule in (_lines(each) if each.startswith("@") else [each])]


def _lines(given: str) -> list[str]:
    try:
        lines = Path(given[1:]).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(
            f"--rename {given!r}: the file cannot be read ({error}). Give PATTERN=REPLACEMENT, or a file "
            "with one such rule a line."
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
