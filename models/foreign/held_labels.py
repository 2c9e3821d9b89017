"""Labels of classes that trainers write beside the weights, found and offered; nothing takes them unasked."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 3
MAX_VISITED = 10_000
MAX_LABELS = 100_000
MAX_LABEL_CHARACTERS = 200
MAX_SHOWN = 5  # labels in a note
MAX_COMMAND_CHARACTERS = 600
MIN_LABELS = 2

KEYS = (
    "classes",
    "class_names",
    "labels",
    "label_names",
    "idx_to_class",
    "class_to_idx",
    "id2label",
    "label2id",
)


@dataclass(frozen=True)
class HeldLabels:
    """Labels in the order of the classes, and the key that they stood under."""

    key: str
    labels: tuple[str, ...]

    def note(self) -> str:
        """Return a line that tells of them."""
        shown = json.dumps(list(self.labels[:MAX_SHOWN]), ensure_ascii=False)
        more = f" and {len(self.labels) - MAX_SHOWN:,} more" if len(self.labels) > MAX_SHOWN else ""
        return f"labels in the file ({self.key}): {shown}{more}"

    def hint(self, task_config: Mapping[str, Any]) -> str:
        """Return what to paste so that a task has them, beside what `task_config` says already."""
        text = json.dumps({**task_config, "labels": list(self.labels)}, ensure_ascii=False)
        if len(text) > MAX_COMMAND_CHARACTERS:
            return f"; the file has {len(self.labels):,} as {self.key}: give them in --task-config FILE.json"
        return f"; the file has them as {self.key}: --task-config {shlex.quote(text)}"


def held_labels(held: object) -> HeldLabels | None:
    """Return the first labels in what a file held, nearest to its top; None where there are none."""
    for count, (key, value) in enumerate(_entries(held)):
        if count >= MAX_VISITED:
            break
        if key in KEYS and (labels := _labels(value)):
            return HeldLabels(str(key), labels)
    return None


def _entries(held: object) -> Iterator[tuple[object, object]]:
    """Yield keys and values, level by level: a trainer's arguments are a dict, or an object with attributes."""
    level = [held]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for each in level:
            fields = _fields(each)
            yield from fields.items()
            below += [value for _, value in zip(range(MAX_VISITED), fields.values(), strict=False)]
        level = below


def _fields(value: object) -> Mapping[Any, Any]:
    if isinstance(value, dict):
        return value
    attributes = getattr(value, "attributes", None) if hasattr(type(value), "attributes") else None
    return attributes() if callable(attributes) else {}


def _labels(value: object) -> tuple[str, ...] | None:
    if isinstance(value, list | tuple):
        return _checked(list(value))
    if not isinstance(value, dict) or len(value) > MAX_LABELS:
        return None
    by_index = {_index(key): each for key, each in value.items()}
    if None in by_index:  # class_to_idx: from the label to its number
        by_index = {_index(each): key for key, each in value.items()}
    if sorted(by_index, key=str) != sorted(range(len(value)), key=str):
        return None
    return _checked([by_index[index] for index in range(len(value))])


def _index(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 8:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _checked(labels: list[Any]) -> tuple[str, ...] | None:
    if not MIN_LABELS <= len(labels) <= MAX_LABELS or not all(map(_is_label, labels)):
        return None
    return tuple(labels) if len(set(labels)) == len(labels) else None


def _is_label(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_LABEL_CHARACTERS and value.isprintable()
