"""``.safetensors``: the tensors, and in the header what ``save_checkpoint`` writes: it publishes again as it is.

Imports torch: import it late.
"""

from __future__ import annotations

from pathlib import Path

from statehouse.models.checkpoint import load_checkpoint, save_checkpoint
from statehouse.scripts.export.source import ExportSource
from statehouse.scripts.export.verification import module_problems

SUFFIX = ".safetensors"


def write(source: ExportSource, path: Path) -> None:
    """Write the checkpoint with its golden examples."""
    header = source.checkpoint.header
    save_checkpoint(
        path,
        source.checkpoint.state_dict,
        architecture=header.architecture or "",
        config=header.config or {},
        task=header.task,
        metadata=header.metadata,
        examples=source.golden.examples,
    )


def problems(source: ExportSource, path: Path) -> list[str]:
    """Load it again: the same digest, the same answers."""
    loaded = load_checkpoint(path)
    if loaded.digest() != source.version.digest:
        return [f"digest: is {loaded.digest()} once read back, {source.version.digest} in the version"]
    return module_problems(source, source.handler_of(loaded).module)  # wrapped as its task wraps it
