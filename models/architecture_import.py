"""Finds the modules in which people register architectures of their own."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from statehouse.models.errors import ArchitectureImportError
from statehouse.models.lent_names import old_names, what_to_write

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
            problems.append(f"{name}: {import_problem(name, error)}")
            cause = cause or error
    if problems:
        raise ArchitectureImportError("architectures could not be imported:", problems) from cause


@cache
def built_in_names() -> tuple[str, ...]:
    """Return the names of the built-in architectures, without importing them: one module each, called like it."""
    folder = Path(__file__).with_name("architectures")
    return tuple(module.name for module in pkgutil.iter_modules([str(folder)]))


def _import_one(name: str) -> None:
    for entry_point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        with old_names():
            entry_point.load()
        return
    with old_names():
        importlib.import_module(name)


def import_problem(name: str, error: Exception) -> str:
    """Say why a module is not imported: "not found" and "broken inside" are put right in different places."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and (name == missing or name.startswith(f"{missing}.")):
        searched = ", ".join(repr(folder or ".") for folder in sys.path)
        return (
            f"no module {missing!r}, and no entry point of group {ENTRY_POINT_GROUP!r} has this name; "
            f"looked in {searched}"
        )
    raised = f"was found, but importing it raised {type(error).__name__}: {error}"
    line = what_to_write(error)
    if line is None:
        return raised
    return (
        f"{raised}; a package of yours is called models, and Statehouse's is statehouse now: write `{line}`"
    )
