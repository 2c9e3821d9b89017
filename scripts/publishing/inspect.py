"""``statehouse inspect``: what a checkpoint or a version is, whether it would load, every problem at once.

Imports torch: import it late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from statehouse.handlers.errors import GoldenMismatchError
from statehouse.handlers.golden import GOLDEN_FILE, Golden, read_golden
from statehouse.models.architecture import get_architecture
from statehouse.models.architecture_import import import_architectures
from statehouse.models.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint, verify_records
from statehouse.models.errors import StatehouseError
from statehouse.models.foreign.reading import Reading
from statehouse.models.foreign.weights import Weights
from statehouse.scripts.deployment.snapshots import CodeOnDisk, Snapshots
from statehouse.scripts.errors import InspectTargetError, NameRuleError, VersionFolderError
from statehouse.scripts.publishing.golden_examples import answer_candidates, collect_candidates, prove_rows_of
from statehouse.scripts.publishing.meaning import derive_meaning
from statehouse.scripts.publishing.proving_code import import_code
from statehouse.scripts.publishing.source import (
    Description,
    Handler,
    Identity,
    examine_source,
    prove,
    reasons,
)
from statehouse.scripts.publishing.which_architecture import candidate_facts
from statehouse.scripts.store import LocalStore, ModelStore, PublishedVersion, Tell, tell_nobody
from statehouse.scripts.store.library_version import changed_library
from statehouse.scripts.store.manifest import MANIFEST_FILE, VersionManifest
from statehouse.scripts.store.names import check_name, check_version, split_folder_name


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
    from_key: str | None = None,
    ignore: Sequence[str] = (),
    accept_renames: bool = False,
    architectures: Sequence[str] = (),
    snapshots: Snapshots | None = None,
    report: Tell = tell_nobody,
) -> Inspection:
    """Look at a checkpoint file, a version's folder, ``NAME-VERSION`` or ``NAME/VERSION``; a path goes first.

    What is wrong with the target is in the result. Raises InspectTargetError or VersionNotFoundError when
    there is no such thing, ArchitectureImportError when one of ``architectures`` cannot be imported. A version that
    names its code is read with that, out of ``snapshots``.
    """
    description = Description(
        architecture,
        config,
        task,
        task_config,
        Reading(tuple(rename), weights, from_key, tuple(ignore)),
        accept_renames=accept_renames,
    )
    path = Path(target)
    if path.is_file() or _is_checkpoint_folder(path):
        import_architectures(architectures)
        return _inspect_checkpoint(path, description)
    code = _Code(snapshots, architectures)
    if path.is_dir():
        in_folder = LocalStore(path.absolute().parent)
        return _inspect_version(target, in_folder, *_split(path.absolute().name), code=code)
    return _inspect_version(target, store, *_split(target), report, code=code)


@dataclass(frozen=True)
class _Code:
    """Where the code of a version is: what is kept, and what is imported from disk."""

    snapshots: Snapshots | None
    architectures: Sequence[str]


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
    if checkpoint.header.architecture is None:
        found.facts["candidates"] = candidate_facts(path, checkpoint.header.tensors, description.task)
    found.problems.extend(problems)
    try:
        verify_records(checkpoint.header.path)
    except StatehouseError as error:
        found.problems.extend(reasons(error))
    if not problems:
        _inspect_source(path, checkpoint, found)
    return found


def _inspect_source(path: Path, checkpoint: Checkpoint, found: Inspection) -> None:
    handler, problems = prove(checkpoint, Identity(path.stem, "", ""))
    if handler is not None:
        source, candidates = collect_candidates(handler, checkpoint.header.examples, ())
        asked = [each.example for each in candidates]
        checkpoint, told, asks = derive_meaning(checkpoint, handler, asked)
        found.problems.extend(asks)
        found.notes.extend([told] if told else [])
        handler.task = checkpoint.header.task
    digest = checkpoint.digest()
    found.facts["digest"] = digest
    found.problems.extend(problems)
    if handler is not None:
        handler.digest = digest
        golden, problems = answer_candidates(handler, source, candidates)
        found.problems.extend(problems)
        if golden is not None:
            _inspect_rows(handler, golden, found)
        found.facts.update(
            parameter_count=sum(parameter.numel() for parameter in handler.module.parameters()),
            input_schema=handler.input_schema(),
            output_schema=handler.output_schema(),
        )


def _inspect_version(
    target: str, store: ModelStore, name: str, version: str, report: Tell = tell_nobody, *, code: _Code
) -> Inspection:
    found = Inspection(target, "version")
    try:
        published = store.obtain(name, version, report)
        found.facts.update(published.manifest.model_dump(mode="json"), folder=str(published.folder))
        store.verify(published)  # before the file is parsed
    except VersionFolderError as error:
        found.problems.extend(error.problems)
    else:
        _inspect_published(published, found, code)
    return found


def _inspect_published(published: PublishedVersion, found: Inspection, code: _Code) -> None:
    manifest = published.manifest
    try:
        import_code(published, code.snapshots, code.architectures)
        checkpoint = load_checkpoint(published.checkpoint_path)
        golden = read_golden(published.golden_path)
    except StatehouseError as error:
        found.problems.extend(reasons(error))
        return
    digest = checkpoint.digest()
    if digest != manifest.digest:
        found.problems.append(f"digest: the manifest says {manifest.digest}, the checkpoint's is {digest}")
    found.notes.extend(_changes_since(manifest))
    handler, problems = prove(checkpoint, Identity(manifest.name, manifest.version, digest))
    found.problems.extend(problems)
    if handler is not None:
        try:
            handler.check_golden(golden)
        except GoldenMismatchError as error:
            found.problems.extend(error.problems)
        else:
            _inspect_rows(handler, golden, found)


def _changes_since(manifest: VersionManifest) -> Iterator[str]:
    """Say what of its architecture is not as it was published."""
    if manifest.architecture_code is not None:
        yield from filter(None, [CodeOnDisk().changed(manifest, ())])
    elif not get_architecture(manifest.architecture).has_source(manifest.architecture_source_digest):
        yield (
            f"the source of architecture {manifest.architecture!r} is not the one it was published with; "
            "the golden examples decide whether it matters"
        )
    if changed := changed_library(manifest):
        yield f"architecture {manifest.architecture!r}: {changed}"


def _inspect_rows(handler: Handler, golden: Golden, found: Inspection) -> None:
    proof, problems = prove_rows_of(handler, golden)
    found.problems.extend(problems)
    if proof:
        found.facts["rows"] = proof.told()


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
        "modules": dict(header.modules),
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
