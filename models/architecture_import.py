"""Finds the modules in which people register architectures of their own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

from models.errors import ArchitectureImportError

ENTRY_POINT_GROUP = "statehouse.architectures"


def import_architectures(modules: Sequence[str]) -> None:
    """Import each module by its name, or by the name of an entry point of `statehouse.architectures`.

    `sys.path` stays as it is.

    Raises:
        ArchitectureImportError: every module that was not found, or that failed on import, with the reason.
    """
    problems: list[str] = []
    cause: BaseException | None = None
    for name in modules:
        try:
            _import_one(name)
        except Exception as error:  # noqa: BLE001 - somebody's own module may raise anything on import
            problems.append(f"{name}: {_reason(name, error)}")
            cause = cause or error
    if problems:
        raise ArchitectureImportError("architectures could not be imported:", problems) from cause


def _import_one(name: str) -> None:
    for entry_point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        entry_point.load()
        return
    importlib.import_module(name)


def _reason(name: str, error: Exception) -> str:
    """Tell "not found" from "broken inside": they are put right in different places."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and (name == missing or name.startswith(f"{missing}.")):
        searched = ", ".join(repr(folder or ".") for folder in sys.path)
        return (
            f"no module {missing!r}, and no entry point of group {ENTRY_POINT_GROUP!r} has this name; "
            f"looked in {searched}"
        )
    return f"was found, but importing it raised {type(error).__name__}: {error}"
