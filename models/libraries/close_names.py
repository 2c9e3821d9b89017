"""The few of a library's thousand names that somebody is likely to have meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def close_names(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x' or 'y'?`, or where nothing is near what some are called."""
    close = get_close_matches(name, known, n=3)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    return f"; it has {len(known)}, such as {', '.join(map(repr, known[:3]))}" if known else "; it has none"
