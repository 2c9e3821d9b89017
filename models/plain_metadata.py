"""Metadata as people have it, made plain: versions of torch, NumPy's numbers, paths, times, dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from pathlib import PurePath
from uuid import UUID

import numpy
from torch import Tensor

from statehouse.models.plain import MAX_DEPTH

MAX_ELEMENTS = 10_000  # of an array: more is data, and no metadata


def as_plain(value: object, depth: int = 0) -> object:
    """Return `value` with all that has a plain form in it; what has none stays, for `plain_problems` to tell."""
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, Enum):
        return as_plain(value.value, depth + 1)
    if isinstance(value, Mapping):
        return {as_plain(key): as_plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((as_plain(item, depth + 1) for item in value), key=repr)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: as_plain(getattr(value, name), depth + 1) for name in names}
    return _scalar(value)


def _scalar(value: object) -> object:
    if isinstance(value, str):
        return str.__str__(value)  # torch.__version__ is text of a class of its own
    if isinstance(value, PurePath | UUID):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, numpy.generic):
        return value.item()
    if isinstance(value, numpy.ndarray | Tensor) and _count(value) <= MAX_ELEMENTS:
        return value.tolist()
    return value


def _count(value: numpy.ndarray | Tensor) -> int:
    return value.numel() if isinstance(value, Tensor) else value.size
