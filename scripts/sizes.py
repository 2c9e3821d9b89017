"""Sizes as people write them: ``500MB``, ``1GB``, ``1.5GiB``."""

from __future__ import annotations

import re

from scripts.errors import ArgumentError

_UNITS = {"": 1, "B": 1, **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", start=1)}}
_UNITS |= {f"{prefix}IB": 1024**power for power, prefix in enumerate("KMGT", start=1)}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)")


def parse_size(option: str, text: str) -> int:
    """Return the bytes that ``text`` means; raises ArgumentError for what is no size of at least one byte."""
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    size_bytes = int(float(match[1]) * unit) if match and unit else 0
    if size_bytes < 1:
        raise ArgumentError(
            f"{option} {text!r} is no size; expected a number and a unit, such as 500MB, 1GB or 2GiB."
        )
    return size_bytes
