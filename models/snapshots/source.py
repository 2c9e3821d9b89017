"""Where an architecture module is on this machine, and all of its code: found and read, and never run.

It is one file, or a package with what lies in it; and, as long as it is no installed one, whatever it imports from
the folder that it lies in.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import all_suffixes
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from statehouse.models.architecture_import import ENTRY_POINT_GROUP
from statehouse.models.errors import ModuleNotThereError
from statehouse.models.snapshots.files import Files, digest_of, files_below, read_files

_INSTALLED = ("site-packages", "dist-packages")
_OURS = ("models", "handlers", "scripts")


@dataclass(frozen=True)
class ModuleSource:
    """An architecture module as it was read: `module` is what is imported, `root` the folder it is imported from."""

    module: str
    root: Path
    files: Files

    @cached_property
    def digest(self) -> str:
        """What tells this code from any other."""
        return digest_of(self.files)


def find_source(name: str, folders: Sequence[Path] = ()) -> ModuleSource:
    """Read the code of the module, or entry point, of this name; in `folders` it is looked for first.

    Raises ModuleNotThereError, SnapshotError where it is too large, OSError where it cannot be read.
    """
    module = module_of(name)
    for root in _roots(module, folders) if _is_a_name(module) else ():
        unit = unit_path(root, module)
        if unit is not None:
            return ModuleSource(module, root, read_files(root, _all_files(root, unit)))
    searched = ", ".join(repr(str(each) or ".") for each in (*folders, *sys.path))
    raise ModuleNotThereError(
        f"no module {module!r}, and no entry point of group {ENTRY_POINT_GROUP!r} has this name; looked in {searched}"
    )


def module_of(name: str) -> str:
    """Return the module that an entry point of this name leads to, else the name."""
    return next((each.module for each in entry_points(group=ENTRY_POINT_GROUP, name=name)), name)


def _is_a_name(module: str) -> bool:
    """Whether Python could import it so; a path never is."""
    return all(word.isidentifier() for word in module.split("."))


def _roots(module: str, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield where the module may be, in Python's order; the last are those that only an import hook knows."""
    yield from (each.absolute() for each in folders)
    yield from (Path(each).absolute() for each in sys.path)
    try:
        spec = find_spec(module.partition(".")[0])
    except ValueError:  # `__main__`, say
        return
    if spec is None:
        return
    if spec.submodule_search_locations is not None:
        yield from (Path(each).absolute().parent for each in spec.submodule_search_locations)
    elif spec.has_location and spec.origin is not None:
        yield Path(spec.origin).absolute().parent


def unit_path(root: Path, module: str) -> Path | None:
    """Return the file or package below `root` that holds the module, by Python's rules; None where none does."""
    place = root
    for word in module.split("."):
        if (place / word / "__init__.py").is_file():
            return place / word
        for suffix in all_suffixes():
            if suffix != ".pyc" and (found := place / f"{word}{suffix}").is_file():
                return found
        place = place / word
        if not place.is_dir():
            return None
    return None


def _all_files(root: Path, first: Path) -> Iterator[Path]:
    """Yield the files of a unit and of all units beside it that it imports."""
    found, waiting = {first}, [first]
    while waiting:
        unit = waiting.pop()
        for file in files_below(unit) if unit.is_dir() else (unit,):
            yield file
            for module in () if _is_installed(root) else _imports(root, file):
                other = unit_path(root, module)
                if other is not None and other not in found and not _is_foreign(other, module):
                    found.add(other)
                    waiting.append(other)


def _is_installed(root: Path) -> bool:
    return any(part in _INSTALLED for part in root.parts)


def _is_foreign(unit: Path, module: str) -> bool:
    """Whether it is Python's own, or ours in a checkout, whatever lies beside the module."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "statehouse":
        return True
    return top in _OURS and unit.resolve() == _our_folder(top)


def _our_folder(name: str) -> Path:
    return Path(str(importlib.import_module(f"statehouse.{name}").__file__)).resolve().parent


def _imports(root: Path, file: Path) -> Iterator[str]:
    """Yield the absolute names of all that a file imports, wherever in it."""
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # is told when it is imported
        return
    package = file.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *filter(None, (node.module,))))
            yield from filter(None, (base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)))
