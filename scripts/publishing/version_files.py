"""What a version's folder holds: a self-describing checkpoint, golden examples, and the manifest of both.

Imports torch: import it late.
"""

from __future__ import annotations

import errno
import platform
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError

from statehouse import __version__
from statehouse.handlers.bodies.payload import decode
from statehouse.handlers.golden import GOLDEN_FILE, Golden, write_golden
from statehouse.handlers.request import Request
from statehouse.handlers.row_proof import RowProof
from statehouse.models.architecture import get_architecture
from statehouse.models.checkpoint import Checkpoint, CheckpointHeader, save_checkpoint
from statehouse.models.macs import count_macs
from statehouse.models.snapshots.source import ModuleSource
from statehouse.scripts.deployment.defaults import is_heavy
from statehouse.scripts.publishing.frozen_speedup import frozen_speedup
from statehouse.scripts.publishing.source import Handler, Identity
from statehouse.scripts.store import Tell, sha256_of
from statehouse.scripts.store.manifest import (
    MANIFEST_FILE,
    READING_KEY,
    ArchitectureCode,
    BuiltBy,
    CheckpointFile,
    FileRecord,
    GoldenRecord,
    RowProofRecord,
    TensorMetadata,
    VersionManifest,
)

_CHECKPOINT_FILES: dict[str, CheckpointFile] = {
    "pt": "checkpoint.pt",
    "safetensors": "checkpoint.safetensors",
}
MOST_COUNTED = 8  # golden examples; more would tell nothing new
MOST_FROZEN_BYTES = 128 << 20  # of weights, which each frozen worker has for itself


def write_checkpoint(
    folder: Path, source: Checkpoint, golden: Golden, *, max_shard_bytes: int | None = None
) -> Path:
    """Write ``source`` without training state and with its golden examples, in its own container.

    With ``max_shard_bytes``, in as many safetensors files as it takes. Returns the file, or the index of
    several. Raises OSError when it cannot be written.
    """
    header = source.header
    assert header.architecture is not None and header.config is not None  # noqa: S101, PT018 - read_source saw to it
    container = header.container if max_shard_bytes is None else "safetensors"
    path = folder / _CHECKPOINT_FILES[container]
    try:
        return save_checkpoint(
            path,
            source.state_dict,
            architecture=header.architecture,
            config=header.config,
            task=header.task,
            metadata=dict(header.metadata) | reading_record(header),
            examples=golden.examples,
            max_shard_bytes=max_shard_bytes,
        )
    except (RuntimeError, SafetensorError) as error:  # how torch and safetensors say that a disk is full
        raise OSError(errno.EIO, str(error), str(path)) from error


def reading_record(header: CheckpointHeader) -> dict[str, Any]:
    """Return what a version's metadata says of how its source was read; nothing where there is nothing to say."""
    if not (header.is_foreign or header.renaming.matched):
        return {}
    about = {
        "origin": header.origin,
        "form": header.form,
        "weights": header.weights,
        "how": list(header.notes),
        "from": header.reading.from_key,
        "ignored": list(header.reading.ignore),
    }
    return {READING_KEY: about | {"renaming": header.renaming.to_plain()}}


def write_golden_and_manifest(
    folder: Path,
    checkpoint: Checkpoint,
    handler: Handler,
    golden: Golden,
    proof: RowProof,
    identity: Identity,
    code: ModuleSource | None,
    report: Tell,
) -> VersionManifest:
    """Write the rest of the version beside its checkpoint, as loaded from ``folder``; return the manifest."""
    write_golden(folder / GOLDEN_FILE, golden)
    manifest = describe_version(folder, checkpoint, handler, golden, proof, identity, code, report)
    (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    return manifest


def describe_version(
    folder: Path,
    checkpoint: Checkpoint,
    handler: Handler,
    golden: Golden,
    proof: RowProof,
    identity: Identity,
    code: ModuleSource | None,
    report: Tell,
) -> VersionManifest:
    """Return the manifest of the files in ``folder``."""
    header = checkpoint.header
    parameter_count = sum(parameter.numel() for parameter in handler.module.parameters())
    macs_per_row = _macs_per_row(handler, golden)
    speedup = _frozen_speedup(handler, report) if is_heavy(macs_per_row, parameter_count) else None
    assert header.architecture is not None and header.config is not None and header.task is not None  # noqa: S101, PT018
    architecture = get_architecture(header.architecture)
    return VersionManifest(
        name=identity.name,
        version=identity.version,
        digest=identity.digest,
        architecture=header.architecture,
        config=dict(header.config),
        task=header.task.task,
        task_config=header.task.to_facts(),
        checkpoint=cast("CheckpointFile", header.path.name),  # the manifest sees to it
        files={name: _record(folder / name) for name in (*(file.name for file in header.files), GOLDEN_FILE)},
        parameter_count=parameter_count,
        macs_per_row=macs_per_row,
        frozen_speedup=speedup,
        dtypes=sorted({tensor.dtype for tensor in header.tensors.values()}),
        labels=getattr(header.task, "labels", None),
        input_schema=handler.input_schema(),
        output_schema=handler.output_schema(),
        inputs=[TensorMetadata(**tensor) for tensor in handler.tensor_inputs()],
        outputs=[TensorMetadata(**tensor) for tensor in handler.tensor_outputs()],
        golden=GoldenRecord(count=len(golden.examples), source=golden.source),
        metadata=dict(header.metadata),
        architecture_source_digest=architecture.source_digest,
        architecture_library=architecture.library,
        architecture_code=ArchitectureCode(module=code.module, digest=code.digest) if code else None,
        row_proof=RowProofRecord(
            rows=proof.rows,
            batch_sizes=proof.sizes,
            tolerance=proof.tolerance,
            row_by_row=header.task.rows_per_batch is not None,
        ),
        published=datetime.now(UTC).isoformat(timespec="seconds"),
        built_by=BuiltBy(
            statehouse=__version__, torch=str(torch.__version__), python=platform.python_version()
        ),
    )


def _macs_per_row(handler: Handler, golden: Golden) -> int | None:
    """Return what the first row of a golden example makes the module compute, of all examples the most."""
    requests = [Request(example.body, example.content_type) for example in golden.examples[:MOST_COUNTED]]
    inputs = [handler.preprocess(decode(each, handler).rows[:1].copy()) for each in requests]
    try:
        return max(count_macs(partial(handler.call_module, each)) for each in inputs)
    except Exception:  # noqa: BLE001 - a module of anybody's may not bear that its operators are watched
        return None


def _frozen_speedup(handler: Handler, report: Tell) -> float | None:
    weights_bytes = sum(parameter.nbytes for parameter in handler.module.parameters())
    if handler.device.type != "cpu" or weights_bytes > MOST_FROZEN_BYTES:
        return None
    report("measuring how much faster the module is when it is frozen")
    try:
        speedup = frozen_speedup(handler)
    except Exception as error:  # noqa: BLE001 - a module of anybody's may raise anything, and need not be frozen
        report(f"it cannot be frozen: {error}")
        return 0.0
    return None if speedup is None else round(speedup, 2)


def _record(path: Path) -> FileRecord:
    return FileRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size)
