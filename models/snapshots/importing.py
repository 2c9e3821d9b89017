"""Importing a kept copy of an architecture module: exactly the code of its digest, whatever lies elsewhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Any

from statehouse.models.architecture import forget_architectures, registered
from statehouse.models.architecture_import import import_problem
from statehouse.models.errors import ArchitectureImportError, SnapshotError
from statehouse.models.lent_names import old_names
from statehouse.models.snapshots.files import digest_of, is_in, read_folder, units_of
from statehouse.models.tasks.kinds import forget_kinds


class _UncachedLoader(SourceFileLoader):
    """Compiles the source each time: what a cache holds no digest covers."""

    def path_stats(self, path: Any) -> Any:  # noqa: ANN401 - as typeshed has it
        raise OSError(f"{path} is compiled anew")


class _SnapshotFinder(MetaPathFinder):
    """Finds the modules of one snapshot, and no other."""

    def __init__(self, folder: Path, units: Collection[str]) -> None:
        self._folder = folder
        self.units = units

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if any(unit.startswith(f"{fullname}.") for unit in self.units):
            return self._shared(fullname, path)
        if not is_in(fullname, self.units):
            return None
        place = self._folder.joinpath(*fullname.split(".")[:-1])
        loaders = ((ExtensionFileLoader, EXTENSION_SUFFIXES), (_UncachedLoader, SOURCE_SUFFIXES))
        return FileFinder(str(place), *loaders).find_spec(fullname)

    def _shared(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec:
        """Return a folder without an `__init__.py`: what lies in it here, and then elsewhere, as Python has such."""
        elsewhere = PathFinder.find_spec(fullname, path)
        more = (elsewhere.submodule_search_locations or ()) if elsewhere and elsewhere.loader is None else ()
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [str(self._folder.joinpath(*fullname.split("."))), *more]
        return spec


def import_snapshot(folder: Path, module: str, digest: str) -> list[str]:
    """Import `module` from the snapshot in `folder`, which must have this digest; return what it registers.

    Of several snapshots of one module the last that was imported has the names, of modules and of architectures.
    What was built by another goes on. Raises SnapshotError, or ArchitectureImportError for whatever the module raises.
    """
    units = units_of(verify_snapshot(folder, module, digest))
    finder = _SnapshotFinder(folder, units)
    _make_way(units)
    sys.meta_path.insert(0, finder)
    try:
        before = registered()
        with old_names():
            importlib.import_module(module)
    except Exception as error:
        _make_way(units)
        problem = f"{module}: {import_problem(module, error)}"
        raise ArchitectureImportError("architectures could not be imported:", [problem]) from error
    return [name for name, architecture in registered().items() if before.get(name) is not architecture]


def verify_snapshot(folder: Path, module: str, digest: str) -> Collection[str]:
    """Return the paths of a snapshot's files; raises SnapshotError where they are not those of the digest."""
    again = f"add it again: statehouse architecture add {module} --digest {digest} --from FOLDER"
    try:
        files = read_folder(folder)
    except OSError as error:
        raise SnapshotError(f"the code in {folder} cannot be read: {error.strerror or error}") from error
    if not files:
        raise SnapshotError(f"the code in {folder} is gone; {again}")
    found = digest_of(files)
    if found != digest:
        raise SnapshotError(f"the code in {folder} was changed, to digest {found}; {again}")
    return files


def _make_way(units: Collection[str]) -> None:
    """Forget what was imported of these before, from a snapshot or from anywhere else."""
    for name in [each for each in sys.modules if is_in(each, units)]:
        del sys.modules[name]
    for finder in list(sys.meta_path):
        # One that holds more is still asked for that; the newest stands before it.
        if isinstance(finder, _SnapshotFinder) and set(finder.units) <= set(units):
            sys.meta_path.remove(finder)
    forget_architectures(lambda builder: is_in(builder.__module__, units))
    forget_kinds(lambda kind: is_in(kind.__module__, units))
