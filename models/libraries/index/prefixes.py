"""Prefixes that wrappers put before the names of a module's tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

Value = TypeVar("Value")

KNOWN = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "base_model.")
MOST_DEEP = 3
SHARE = 0.5  # of all names; a head of the user's own may stand beside them


def without_prefixes(tensors: Mapping[str, Value]) -> Iterator[tuple[str, dict[str, Value]]]:
    """Yield the tensors as they are, and without each prefix that they may have: the prefix and what is left.

    A prefix that is not on all names stays on the others.
    """
    prefix, left = "", dict(tensors)
    yield prefix, left
    for _ in range(MOST_DEEP):
        more = _prefix_of(left)
        if more is None:
            return
        left = {name.removeprefix(more): value for name, value in left.items()}
        prefix += more
        yield prefix, left


def _prefix_of(names: Iterable[str]) -> str | None:
    known = list(names)
    first = {name.partition(".")[0] for name in known}
    if len(first) == 1 and all("." in name for name in known):
        return f"{first.pop()}."
    for prefix in KNOWN:
        if sum(name.startswith(prefix) for name in known) > SHARE * len(known):
            return prefix
    return None
