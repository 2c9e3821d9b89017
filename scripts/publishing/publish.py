"""Publishing: a checkpoint becomes a version, once and for all, or is refused with every reason.

Imports torch: import it late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statehouse.handlers.errors import GoldenMismatchError
from statehouse.handlers.golden import Golden
from statehouse.handlers.row_proof import RowProof
from statehouse.models.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint, verify_records
from statehouse.models.foreign.reading import Reading
from statehouse.models.foreign.weights import Weights
from statehouse.models.snapshots.source import ModuleSource
from statehouse.scripts.deployment.snapshots import SHOWN_DIGITS, Snapshots
from statehouse.scripts.errors import PublishError, VersionExistsError
from statehouse.scripts.publishing.golden_examples import answer_candidates, collect_candidates, prove_rows_of
from statehouse.scripts.publishing.meaning import derive_meaning, is_unsaid
from statehouse.scripts.publishing.proving_code import proving_code
from statehouse.scripts.publishing.source import Description, Handler, Identity, prove, read_source
from statehouse.scripts.publishing.version_files import write_checkpoint, write_golden_and_manifest
from statehouse.scripts.store import ModelStore, PublishedVersion, Tell, tell_nobody
from statehouse.scripts.store.names import check_name, check_version


@dataclass(frozen=True)
class PublishResult:
    """The version in the store, and whether it was there before."""

    version: PublishedVersion
    place: str  # where it is in the store
    already_published: bool
    other_code: str | None = None  # it was there before, proved by different code from what is on disk now
    has_code: bool = True  # what proved it is kept here, or there is nothing to keep


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
    from_key: str | None = None,
    ignore: Sequence[str] = (),
    accept_renames: bool = False,
    examples: Sequence[Path] = (),
    max_shard_bytes: int | None = None,
    architectures: Sequence[str] = (),
    snapshots: Snapshots | None = None,
    report: Tell = tell_nobody,
    show: Callable[[CheckpointHeader], None] = lambda header: None,
) -> PublishResult:
    """Make the version ``name`` ``version`` of a checkpoint; ``report`` is told each step before it begins.

    ``architecture``, ``config``, ``task`` and ``task_config`` complete a foreign file, ``rename`` has rules for
    its tensors' names, ``weights`` chooses between a model's and their moving average, ``from_key`` is where in the
    file the weights are, ``ignore`` has patterns of names that are left out; with ``accept_renames`` the likely
    renamings of what does not fit are made. ``examples`` are files with one request's body each, ``architectures``
    are modules that register architectures. The one that proves the version is kept in ``snapshots``, and the version
    names it. With ``max_shard_bytes`` the version holds a larger checkpoint in several files.
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
        DeploymentWriteError: the code cannot be kept.
        UnknownCodeError: it is not that of the image that this runs in.
    """
    check_name(name)
    check_version(version)
    with proving_code(architectures) as registers:
        report(f"reading {checkpoint_path}")
        description = Description(
            architecture,
            config,
            task,
            task_config,
            Reading(tuple(rename), weights, from_key, tuple(ignore)),
            accept_renames=accept_renames,
        )
        source = read_source(checkpoint_path, description)
        show(source.header)
        verify_records(source.header.path)
        source = _with_meaning(source, examples, Identity(name, version, ""), report)
        identity = Identity(name, version, source.digest())
        code = registers.get(source.header.architecture or "") if snapshots is not None else None
        manifest = None
        with store.writing(report):
            if not _is_published(store, identity):
                with store.draft(name, version, report) as draft:
                    handler, golden, proof = _prove(source, examples, identity, report)
                    if snapshots is not None and code is not None:
                        snapshots.keep(code)
                    report("writing the version")
                    path = write_checkpoint(draft, source, golden, max_shard_bytes=max_shard_bytes)
                    written = _read_back(path, golden, identity)
                    manifest = write_golden_and_manifest(
                        draft, written, handler, golden, proof, identity, code, report
                    )
    published = store.obtain(name, version, report)
    # Another may have published the same at the same time, and been there first.
    already_published = published.manifest != manifest
    other_code = None
    if snapshots is not None and code is not None and already_published:
        other_code = _keep_if_the_same(snapshots, code, published)
    named = published.manifest.architecture_code
    has_code = snapshots is None or named is None or snapshots.place(named.digest).is_dir()
    return PublishResult(published, store.place(name, version), already_published, other_code, has_code)


def _keep_if_the_same(snapshots: Snapshots, code: ModuleSource, published: PublishedVersion) -> str | None:
    """Keep the code of a version that was there before; where there is other code now, say so."""
    named = published.manifest.architecture_code
    if named is None:
        return None
    if named.digest == code.digest:
        snapshots.keep(code)
        return None
    return (
        f"it was proved by {named.module} as it was, digest {named.digest[:SHOWN_DIGITS]}, and goes on with that; to "
        f"serve {code.module} as it is now, {code.digest[:SHOWN_DIGITS]}, publish another version"
    )


def _with_meaning(
    source: Checkpoint, examples: Sequence[Path], identity: Identity, report: Tell
) -> Checkpoint:
    """Return the checkpoint with what its outputs mean; what else is wrong with it is told later."""
    if not is_unsaid(source.header.task):
        return source
    handler, problems = prove(source, identity)
    if handler is None:
        return source
    _, candidates = collect_candidates(handler, source.header.examples, examples)
    source, told, problems = derive_meaning(source, handler, [each.example for each in candidates])
    if problems:
        raise _refusal(source, identity, problems)
    if told:
        report(told)
    return source


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
) -> tuple[Handler, Golden, RowProof]:
    """Return the handler and the golden examples of a checkpoint that may become a version, and its rows' proof."""
    report("checking the module: names, shapes, dtypes, finite parameters, outputs")
    handler, problems = prove(source, identity)
    if handler is None:
        raise _refusal(source, identity, problems)
    origin, candidates = collect_candidates(handler, source.header.examples, examples)
    report(f"running the golden examples through the handler: {len(candidates)}, source: {origin}")
    golden, problems = answer_candidates(handler, origin, candidates)
    if golden is None:
        raise _refusal(source, identity, problems)
    proof, problems = prove_rows_of(handler, golden)
    if proof is None:
        raise _refusal(source, identity, problems)
    report(proof.told())
    return handler, golden, proof


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
