"""The architecture modules that prove a checkpoint, imported from copies: what is proved is exactly what is kept.

Imports torch: import it late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from statehouse.models.architecture_import import import_architectures
from statehouse.models.errors import ArchitectureImportError, StatehouseError
from statehouse.models.snapshots.importing import import_snapshot
from statehouse.models.snapshots.source import ModuleSource, find_source
from statehouse.scripts.deployment.snapshots import Snapshots, write_files
from statehouse.scripts.store import PublishedVersion


@contextmanager
def proving_code(modules: Sequence[str]) -> Iterator[Mapping[str, ModuleSource]]:
    """Import the modules, or entry points; yield which of them registers which architecture.

    An edit while this lasts changes nothing. Raises ArchitectureImportError with every module that was not found, or
    that failed on import.
    """
    problems: list[str] = []
    registers: dict[str, ModuleSource] = {}
    with TemporaryDirectory(prefix="statehouse-") as folder:
        for number, name in enumerate(modules):
            copy = Path(folder, str(number))
            try:
                source = find_source(name)
                write_files(copy, source.files)
                found = import_snapshot(copy, source.module, source.digest)
            except ArchitectureImportError as error:
                problems += [each.replace(f"{copy}/", "") for each in error.problems]
            except (StatehouseError, OSError) as error:
                problems.append(f"{name}: {error}")
            else:
                registers |= dict.fromkeys(found, source)
        if problems:
            raise ArchitectureImportError("architectures could not be imported:", problems)
        yield registers


def import_code(version: PublishedVersion, snapshots: Snapshots | None, architectures: Sequence[str]) -> None:
    """Import what builds a published version: the code that proved it, or what is on disk where it names none.

    Raises UnknownCodeError, SnapshotError or ArchitectureImportError.
    """
    code = version.manifest.architecture_code
    if code is None or snapshots is None:
        import_architectures(architectures)
    else:
        kept = snapshots.place(code.digest)
        if not kept.is_dir():
            kept = snapshots.find(code, f"{version.name} {version.version}")  # says how to get it
        import_snapshot(kept, code.module, code.digest)  # sees that it is this code
