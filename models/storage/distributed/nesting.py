"""What was flattened to be saved, nested again: `{"optim.lr": 1}` and its path to `{"optim": {"lr": 1}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Path = tuple[str | int, ...]  # a key of a dict, or the place in a list, at each level


def nest(values: Mapping[str, object], paths: Mapping[str, Path]) -> tuple[dict[Any, Any], list[str]]:
    """Return the values by their paths, and what is wrong with these; a value without a path keeps its name.

    A dict whose keys are 0, 1, 2 … becomes a list, as torch makes it: it does not say which it was.
    """
    root: dict[Any, Any] = {}
    problems: list[str] = []
    inner = {id(root)}
    for name, value in values.items():
        path = paths.get(name, (name,))
        if not _put(root, path, value, inner):
            problems.append(f"{name[:200]!r}: its path goes through, or ends at, another value's")
    return {key: _listed(value, inner) for key, value in root.items()}, problems


def _put(root: dict[Any, Any], path: Path, value: object, inner: set[int]) -> bool:
    here = root
    for key in path[:-1]:
        if key not in here:
            here[key] = {}
            inner.add(id(here[key]))
        here = here[key]
        if id(here) not in inner:
            return False
    if path[-1] in here:
        return False
    here[path[-1]] = value
    return True


def _listed(value: Any, inner: set[int]) -> Any:  # noqa: ANN401 - whatever was saved
    if id(value) not in inner:
        return value
    below = {key: _listed(each, inner) for key, each in value.items()}
    if all(isinstance(key, int) for key in below) and sorted(below) == list(range(len(below))):
        return [below[index] for index in range(len(below))]
    return below
