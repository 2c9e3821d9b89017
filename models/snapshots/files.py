"""The files of one architecture module, and the digest that tells this code from any other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from statehouse.models.errors import SnapshotError

Files = Mapping[str, bytes]  # by their paths below the folder from which the module is imported

MOST_FILES = 5_000
MOST_BYTES = 64 * 1024 * 1024
_INIT = "__init__.py"


def digest_of(files: Files) -> str:
    """Return SHA-256 of what `sha256sum` says of all files, sorted by their paths."""
    lines = (f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def read_folder(folder: Path) -> Files:
    """Return all files in a folder; raises SnapshotError where there are too many, OSError where one cannot be read."""
    return read_files(folder, files_below(folder))


def read_files(root: Path, paths: Iterable[Path]) -> Files:
    """Return files by their paths below `root`; raises as `read_folder` does."""
    files: dict[str, bytes] = {}
    size_bytes = 0
    for path in paths:
        size_bytes += path.stat().st_size
        if len(files) >= MOST_FILES or size_bytes > MOST_BYTES:
            raise SnapshotError(
                f"{root} has more than {MOST_FILES:,} files or {MOST_BYTES >> 20} MiB of code: of an architecture "
                "module a copy is kept, so let weights and data lie outside its package"
            )
        files[path.relative_to(root).as_posix()] = path.read_bytes()
    return files


def files_below(folder: Path) -> Iterator[Path]:
    """Yield a folder's files, but for hidden ones and what Python compiles."""
    seen: set[str] = set()  # a link may lead back up
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(each for each in folders if each != "__pycache__" and not each.startswith("."))
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and not name.endswith((".pyc", ".pyo")) and path.is_file():
                yield path


def units_of(paths: Collection[str]) -> set[str]:
    """Return the dotted names of what these files are: modules of one file, and packages with all that is in them."""
    units = set()
    for path in paths:
        *folders, name = path.split("/")
        for depth in range(1, len(folders) + 1):
            if "/".join((*folders[:depth], _INIT)) in paths:
                units.add(".".join(folders[:depth]))
                break
        else:
            units.add(".".join((*folders, name.partition(".")[0])))
    return units


def is_in(module: str, units: Collection[str]) -> bool:
    """Whether a module is one of these, or lies in one."""
    return any(module == unit or module.startswith(f"{unit}.") for unit in units)
