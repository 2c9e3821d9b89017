"""Publishing: a checkpoint becomes a version, once and for all, or is refused with every reason.

Imports torch: import it late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handlers.errors import GoldenMismatchError
from handlers.golden import Golden
from models.architecture_import import import_architectures
from models.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint, verify_records
from models.reading import Reading
from models.weights import Weights
from scripts.errors import PublishError, VersionExistsError
from scripts.golden_examples import answer_candidates, collect_candidates
from scripts.names import check_name, check_version
from scripts.source import Description, Handler, Identity, prove, read_source
from scripts.store import ModelStore, PublishedVersion, Tell, tell_nobody
from scripts.version_content import write_checkpoint, write_golden_and_manifest


@dataclass(frozen=True)
class PublishResult:
    """The version in the store, and whether it was there before."""

    version: PublishedVersion
    place: str  # where it is in the store
    already_published: bool


def publish(
    checkpoint_path: Path,
    *,
    store: ModelStore,
    name: str,
    version: str,
    architecture: str | None = None,
    config: Mapping[str, Any] | None = None,
    task: str | None = None,
    task_config: Mapping[str, Any] | None = None,
    rename: Sequence[str] = (),
    weights: Weights | None = None,
    examples: Sequence[Path] = (),
    max_shard_bytes: int | None = None,
    architectures: Sequence[str] = (),
    report: Tell = tell_nobody,
    show: Callable[[CheckpointHeader], None] = lambda header: None,
) -> PublishResult:
    """Make the version ``name`` ``version`` of a checkpoint; ``report`` is told each step before it begins.

    ``architecture``, ``config``, ``task`` and ``task_config`` complete a foreign file, ``rename`` has rules for
    its tensors' names, ``weights`` chooses between a model's and their moving average, ``examples`` are files with
    one request's body each, ``architectures`` are modules that register architectures. With ``max_shard_bytes``
    the version holds a larger checkpoint in several files.
    ``show`` is called with what was read, before anything is written.

    Raises:
        NameRuleError: no version may be called so.
        ArchitectureImportError: one of ``architectures`` was not found or is broken.
        CheckpointError: the file cannot be read, or does not say enough.
        ExampleFileError: one of ``examples`` cannot be read.
        PublishError: the checkpoint was read and may not become a version; it lists every reason.
        VersionExistsError: the version is published with another digest.
        VersionFolderError: the version is published and not as it was any more.
        StoreWriteError: the store cannot be written.
    """
    check_name(name)
    check_version(version)
    import_architectures(architectures)
    report(f"reading {checkpoint_path}")
    description = Description(architecture, config, task, task_config, Reading(tuple(rename), weights))
    source = read_source(checkpoint_path, description)
    show(source.header)
    verify_records(source.header.path)
    identity = Identity(name, version, source.digest())
    with store.writing(report):
        if _is_published(store, identity):
            published = store.obtain(name, version, report)
            return PublishResult(published, store.place(name, version), already_published=True)
        with store.draft(name, version, report) as draft:
            handler, golden = _prove(source, examples, identity, report)
            report("writing the version")
            path = write_checkpoint(draft, source, golden, max_shard_bytes=max_shard_bytes)
            written = _read_back(path, golden, identity)
            manifest = write_golden_and_manifest(draft, written, handler, golden, identity, report)
    published = store.obtain(name, version, report)
    # Another may have published the same at the same time, and been there first.
    return PublishResult(
        published, store.place(name, version), already_published=published.manifest != manifest
    )


def _is_published(store: ModelStore, identity: Identity) -> bool:
    """Whether the version is published and still as it was; refuse another digest."""
    published = store.find(identity.name, identity.version)
    if published is None:
        return False
    if published.digest != identity.digest:
        raise VersionExistsError(
            f"{identity.name} {identity.version} is published with digest {published.digest}, and this "
            f"checkpoint has {identity.digest}. A version never changes: publish under another version."
        )
    return True


def _prove(
    source: Checkpoint, examples: Sequence[Path], identity: Identity, report: Tell
) -> tuple[Handler, Golden]:
    """Return the handler and the golden examples of a checkpoint that may become a version."""
    report("checking the module: names, shapes, dtypes, finite parameters, outputs")
    handler, problems = prove(source, identity)
    if handler is None:
        raise _refusal(source, identity, problems)
    origin, candidates = collect_candidates(handler, source.header.examples, examples)
    report(f"running the golden examples through the handler: {len(candidates)}, source: {origin}")
    golden, problems = answer_candidates(handler, origin, candidates)
    if golden is None:
        raise _refusal(source, identity, problems)
    return handler, golden


def _read_back(path: Path, golden: Golden, identity: Identity) -> Checkpoint:
    """See that what was written is the same model with the same answers."""
    written = load_checkpoint(path)
    digest = written.digest()
    handler, problems = prove(written, identity)
    if digest != identity.digest:
        problems.append(
            f"written with digest {identity.digest}, read back with {digest}: is the disk at fault?"
        )
    if handler is not None:
        try:
            handler.check_golden(golden)
        except GoldenMismatchError as error:
            problems += error.problems
    if problems:
        raise _refusal(written, identity, problems)
    return written


def _refusal(checkpoint: Checkpoint, identity: Identity, problems: Sequence[str]) -> PublishError:
    return PublishError(
        f"{checkpoint.header.path} cannot become {identity.name} {identity.version}; nothing was published:",
        problems,
    )
