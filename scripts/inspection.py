"""``statehouse inspect``: what a checkpoint or a version is, whether it would load, every problem at once.

Imports torch: import it late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from handlers.errors import GoldenMismatchError
from handlers.golden import GOLDEN_FILE, read_golden
from models.architecture import get_architecture
from models.architecture_import import import_architectures
from models.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint, verify_records
from models.errors import StatehouseError
from models.reading import Reading
from models.weights import Weights
from scripts.errors import InspectTargetError, NameRuleError, VersionFolderError
from scripts.golden_examples import answer_candidates, collect_candidates
from scripts.library_version import changed_library
from scripts.manifest import MANIFEST_FILE
from scripts.names import check_name, check_version, split_folder_name
from scripts.source import Description, Identity, examine_source, prove, reasons
from scripts.store import LocalStore, ModelStore, PublishedVersion, Tell, tell_nobody


@dataclass(frozen=True)
class Inspection:
    """What was found: ``facts`` by name, plain data; ``problems`` keep it from being published or loaded."""

    target: str
    kind: Literal["checkpoint", "version"]
    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def would_load(self) -> bool:
        """Whether nothing stands against it."""
        return not self.problems

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data, for ``--json``."""
        return {**asdict(self), "would_load": self.would_load}


def inspect(
    target: str,
    *,
    store: ModelStore,
    architecture: str | None = None,
    config: Mapping[str, Any] | None = None,
    task: str | None = None,
    task_config: Mapping[str, Any] | None = None,
    rename: Sequence[str] = (),
    weights: Weights | None = None,
    architectures: Sequence[str] = (),
    report: Tell = tell_nobody,
) -> Inspection:
    """Look at a checkpoint file, a version's folder, ``NAME-VERSION`` or ``NAME/VERSION``; a path goes first.

    What is wrong with the target is in the result. Raises InspectTargetError or VersionNotFoundError when
    there is no such thing, ArchitectureImportError when one of ``architectures`` cannot be imported.
    """
    import_architectures(architectures)
    description = Description(architecture, config, task, task_config, Reading(tuple(rename), weights))
    path = Path(target)
    if path.is_file() or _is_checkpoint_folder(path):
        return _inspect_checkpoint(path, description)
    if path.is_dir():
        return _inspect_version(target, LocalStore(path.absolute().parent), *_split(path.absolute().name))
    return _inspect_version(target, store, *_split(target), report)


def _is_checkpoint_folder(path: Path) -> bool:
    """Whether ``path`` is a folder of somebody's, and not a version's."""
    return path.is_dir() and not any((path / name).exists() for name in (MANIFEST_FILE, GOLDEN_FILE))


def _inspect_checkpoint(path: Path, description: Description) -> Inspection:
    found = Inspection(str(path), "checkpoint")
    try:
        checkpoint, problems = examine_source(path, description)
    except StatehouseError as error:
        found.problems.extend(reasons(error))
        return found
    found.facts.update(_header_facts(checkpoint.header))
    found.problems.extend(problems)
    try:
        verify_records(checkpoint.header.path)
    except StatehouseError as error:
        found.problems.extend(reasons(error))
    if not problems:
        _inspect_source(path, checkpoint, found)
    return found


def _inspect_source(path: Path, checkpoint: Checkpoint, found: Inspection) -> None:
    digest = checkpoint.digest()
    found.facts["digest"] = digest
    handler, problems = prove(checkpoint, Identity(path.stem, "", digest))
    found.problems.extend(problems)
    if handler is not None:
        _, problems = answer_candidates(handler, *collect_candidates(handler, checkpoint.header.examples, ()))
        found.problems.extend(problems)
        found.facts.update(
            parameter_count=sum(parameter.numel() for parameter in handler.module.parameters()),
            input_schema=handler.input_schema(),
            output_schema=handler.output_schema(),
        )


def _inspect_version(
    target: str, store: ModelStore, name: str, version: str, report: Tell = tell_nobody
) -> Inspection:
    found = Inspection(target, "version")
    try:
        published = store.obtain(name, version, report)
        found.facts.update(published.manifest.model_dump(mode="json"), folder=str(published.folder))
        store.verify(published)  # before the file is parsed
    except VersionFolderError as error:
        found.problems.extend(error.problems)
    else:
        _inspect_published(published, found)
    return found


def _inspect_published(published: PublishedVersion, found: Inspection) -> None:
    manifest = published.manifest
    try:
        checkpoint = load_checkpoint(published.checkpoint_path)
        golden = read_golden(published.golden_path)
    except StatehouseError as error:
        found.problems.extend(reasons(error))
        return
    digest = checkpoint.digest()
    if digest != manifest.digest:
        found.problems.append(f"digest: the manifest says {manifest.digest}, the checkpoint's is {digest}")
    if get_architecture(manifest.architecture).source_digest != manifest.architecture_source_digest:
        found.notes.append(
            f"the source of architecture {manifest.architecture!r} is not the one it was published with; "
            "the golden examples decide whether it matters"
        )
    if changed := changed_library(manifest):
        found.notes.append(f"architecture {manifest.architecture!r}: {changed}")
    handler, problems = prove(checkpoint, Identity(manifest.name, manifest.version, digest))
    found.problems.extend(problems)
    if handler is not None:
        try:
            handler.check_golden(golden)
        except GoldenMismatchError as error:
            found.problems.extend(error.problems)


def _header_facts(header: CheckpointHeader) -> dict[str, Any]:
    return {
        "path": str(header.path),
        "size_bytes": sum(file.stat().st_size for file in header.files),
        "shards": [file.name for file in header.files if file != header.path],
        "container": header.container,
        "form": header.form,
        "origin": header.origin,
        "weights": header.weights,
        "read": list(header.notes),
        "format_version": header.format_version,
        "architecture": header.architecture,
        "config": dict(header.config) if header.config is not None else None,
        "task": header.task.task if header.task else None,
        "task_config": header.task.to_facts() if header.task else None,
        "labels": getattr(header.task, "labels", None),
        "tensors": {name: {"dtype": t.dtype, "shape": list(t.shape)} for name, t in header.tensors.items()},
        "dtypes": sorted({tensor.dtype for tensor in header.tensors.values()}),
        "has_training_state": header.has_training_state,
        "examples": len(header.examples),
        "metadata": dict(header.metadata),
        "renaming": header.renaming.to_plain(),
    }


def _split(target: str) -> tuple[str, str]:
    name, slash, version = target.partition("/")
    try:
        return (check_name(name), check_version(version)) if slash else split_folder_name(target)
    except NameRuleError as error:
        raise InspectTargetError(
            f"There is no file {target!r}, and no version is called so; expected a checkpoint's path, "
            "NAME/VERSION or NAME-VERSION."
        ) from error
