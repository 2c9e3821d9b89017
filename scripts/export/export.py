"""`statehouse export`: written beside its place, verified there, and only then put into it.

Imports torch: import it late.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from statehouse.models.errors import StatehouseError
from statehouse.scripts.deployment.snapshots import Snapshots
from statehouse.scripts.durable import sync
from statehouse.scripts.errors import ExportError
from statehouse.scripts.export.form import Form
from statehouse.scripts.export.source import ExportSource, description_json, read_version
from statehouse.scripts.publishing.source import reasons
from statehouse.scripts.store import ModelStore, PublishedVersion, sha256_of

DESCRIPTION_SUFFIX = ".json"

Report = Callable[[str], None]


@dataclass(frozen=True)
class ExportResult:
    """The files of an export, the main one first, with their SHA-256."""

    version: PublishedVersion
    form: str
    files: dict[Path, str]
    golden_examples: int
    tolerance: float

    def to_plain(self) -> dict[str, Any]:
        """Return plain data, as `--json` prints it."""
        return {
            "name": self.version.name,
            "version": self.version.version,
            "digest": self.version.digest,
            "form": self.form,
            "files": {str(path): digest for path, digest in self.files.items()},
            "golden_examples": self.golden_examples,
            "tolerance": self.tolerance,
        }


def export(
    store: ModelStore,
    name: str,
    version: str,
    *,
    form: str,
    output: Path | None = None,
    force: bool = False,
    architectures: tuple[str, ...] = (),
    snapshots: Snapshots | None = None,
    report: Report = lambda step: None,
) -> ExportResult:
    """Write version ``name`` ``version`` as ``form`` to ``output``, ``NAME-VERSION`` with its suffix by default.

    ``report`` is told each step before it begins. A description lies beside the file, as JSON.

    Raises:
        StoreError: there is no such version, or it is not as it was published.
        ExportError: the file is there already, the form cannot hold this module, or it answers otherwise in it;
            every reason is listed, and nothing is written.
        StatehouseError: the version cannot be rebuilt here.
    """
    if form not in list(Form):
        raise ExportError(f"{form!r} is no form of export; expected one of {', '.join(Form)}.", [])
    maker = import_module(f"statehouse.scripts.export.to_{form}")
    path = output or Path(f"{name}-{version}{maker.SUFFIX}")
    _refuse_existing(path, force)
    report(f"reading {name} {version}")
    published = store.obtain(name, version, report)
    store.verify(published)
    source = read_version(published, architectures, snapshots)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=_made(path.parent)))
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}.", []) from error
    try:
        _write(maker, source, folder / path.name, form, report)
        files = _put_in_place(folder, path, force)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror or error}.", []) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tolerance = source.golden.tolerances[source.tolerance_key]
    return ExportResult(published, form, files, len(source.golden.examples), tolerance)


def _write(maker: Any, source: ExportSource, path: Path, form: str, report: Report) -> None:  # noqa: ANN401 - a module
    where = f"{source.version.name} {source.version.version} as {form}"
    report(f"writing {where}")
    try:
        maker.write(source, path)
    except (StatehouseError, OSError):
        raise
    except Exception as error:  # exporters raise their own kinds for what they cannot record
        said = str(error).strip().splitlines() or [""]
        raise ExportError(
            f"{where} cannot be written; nothing was written:", [f"{type(error).__name__}: {said[0][:300]}"]
        ) from error
    report(f"answering {len(source.golden.examples)} golden examples from it")
    try:
        problems = maker.problems(source, path)
    except StatehouseError as error:
        problems = reasons(error)
    except Exception as error:  # noqa: BLE001 - so do the runtimes that load it
        problems = [f"cannot be loaded: {type(error).__name__}: {str(error).strip()[:300]}"]
    if problems:
        raise ExportError(f"{where} answers otherwise than the version; nothing was written:", problems)
    _describe(source, path, form)


def _describe(source: ExportSource, path: Path, form: str) -> None:
    path.with_name(path.name + DESCRIPTION_SUFFIX).write_text(
        description_json(source, form), encoding="utf-8"
    )


def _put_in_place(folder: Path, path: Path, force: bool) -> dict[Path, str]:
    """Move every file beside the main one, and that last; without force all of them or none."""
    files = sorted(folder.iterdir(), key=lambda file: file.name == path.name)
    digests = {path.with_name(file.name): sha256_of(file) for file in files}
    placed: list[Path] = []
    try:
        for file, target in zip(files, digests, strict=True):
            sync(file)
            if force:
                file.replace(target)
            else:
                target.hardlink_to(file)  # which replaces nothing, as a rename would
                placed.append(target)
    except OSError as error:
        for each in placed:
            each.unlink()
        if isinstance(error, FileExistsError):
            raise _exists(target) from error
        raise
    sync(path.parent)
    return dict(reversed(digests.items()))


def _refuse_existing(path: Path, force: bool) -> None:
    if path.is_dir():
        raise ExportError(f"{path} is a folder; give --output the name of a file.", [])
    if force:
        return
    for each in (path, path.with_name(path.name + DESCRIPTION_SUFFIX)):
        if each.exists() or each.is_symlink():
            raise _exists(each)


def _exists(path: Path) -> ExportError:
    return ExportError(f"{path} is there already; give --force to replace it, or another --output.", [])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
