"""What a library knows of the weights that somebody publishes: preprocessing and labels, unless told otherwise.

Imports torch: import it late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.architecture import Weights, get_architecture, validate_config
from models.checkpoint import CheckpointHeader
from models.errors import ArchitectureError
from scripts.manifest import TASK_CONFIG_FROM
from scripts.store import sha256_of


def complete_task_config(
    header: CheckpointHeader, task: str, given: Mapping[str, Any], said: Mapping[str, Any] | None = None
) -> tuple[CheckpointHeader, dict[str, Any]]:
    """Return the task's config with what the architecture's library adds to ``given``, which goes first.

    ``said`` is what stands beside the weights, where something does.
    Where it adds something, the header's metadata says whose it is.
    """
    if header.architecture is None or header.config is None:
        return header, dict(given)
    try:
        config = validate_config(header.architecture, header.config)
        architecture = get_architecture(header.architecture)
    except ArchitectureError:  # is told elsewhere
        return header, dict(given)
    known = architecture.known_task(task, config, Weights(lambda: sha256_of(header.path), said))
    if known is None or not known.fields.keys() - given.keys():
        return header, dict(given)
    metadata = {**header.metadata, TASK_CONFIG_FROM: known.source}
    return replace(header, metadata=metadata), {**known.fields, **given}
