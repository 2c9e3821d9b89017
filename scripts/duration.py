"""Durations as people write them: ``500ms``, ``10s``, ``2m``, ``1h``."""

from __future__ import annotations

import re

from scripts.errors import ArgumentError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Return seconds; ArgumentError for anything but a positive duration."""
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds <= 0:
        raise ArgumentError(
            f"{text!r} is no duration; give a number above 0 and its unit: 500ms, 10s, 2m or 1h."
        )
    return seconds
