"""What an export is made from: a published version, rebuilt on the CPU, with its golden examples.

Imports torch: import it late.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from statehouse import __version__
from statehouse.handlers.base import CheckpointHandler, input_shape_of
from statehouse.handlers.bodies.payload import decode
from statehouse.handlers.golden import Golden, read_golden
from statehouse.models.checkpoint import Checkpoint, load_checkpoint
from statehouse.scripts.deployment.snapshots import Snapshots
from statehouse.scripts.errors import ExportError
from statehouse.scripts.publishing.proving_code import import_code
from statehouse.scripts.publishing.source import Handler
from statehouse.scripts.store import PublishedVersion

TRACED_ROWS = 2  # one row would be recorded as if there could never be more


@dataclass(frozen=True)
class ExportSource:
    """A version and what was rebuilt of it; ``handler`` runs the module as it was published."""

    version: PublishedVersion
    checkpoint: Checkpoint
    golden: Golden
    handler: Handler

    @property
    def module(self) -> nn.Module:
        """The module, in eval mode and without gradients."""
        return self.handler.module

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of one row, where the architecture says it."""
        return input_shape_of(self.checkpoint.header)

    def inputs(self, rows: int) -> Any:  # noqa: ANN401 - a task's own, a tensor for most
        """Return what the module gets for so many made rows, each different."""
        made = [decode(self.handler.make_example(seed), self.handler).rows for seed in range(rows)]
        return self.handler.module_input(self.handler.preprocess(np.concatenate(made)))

    def handler_of(self, checkpoint: Checkpoint) -> Handler:
        """Return a handler of this version around what ``checkpoint`` holds; its module may be replaced."""
        return _handler(self.version, checkpoint)

    @cached_property
    def traced_call(self) -> tuple[Tensor, Tensor] | None:
        """What the module is given for a few rows, and its answer; None where either is not one tensor."""
        given = self.inputs(TRACED_ROWS)
        if not isinstance(given, Tensor):
            return None
        with torch.inference_mode():
            answer = self.module(given)
        return (given, answer) if isinstance(answer, Tensor) else None

    def require_traced_input(self, form: str) -> Tensor:
        """Return what the module is given for a few rows; ExportError where ``form`` cannot hold such a module."""
        if self.traced_call is None:
            raise ExportError(
                f"{self.version.name} {self.version.version} cannot be exported as {form}:",
                [
                    f"task {self.version.manifest.task}: its module does not take one tensor and give one; "
                    "export it as safetensors"
                ],
            )
        return self.traced_call[0]

    def describe(self, form: str) -> dict[str, Any]:
        """Return as plain data what one must know to use the module without Statehouse."""
        given, answer = self.traced_call or (None, None)
        manifest = self.version.manifest
        return {
            "name": manifest.name,
            "version": manifest.version,
            "digest": manifest.digest,
            "form": form,
            "architecture": manifest.architecture,
            "config": manifest.config,
            "task": manifest.task,
            "task_config": self.handler.task.to_plain(),  # the manifest has no tokenizer
            "input": _described(given, self.handler.input_axes),
            "output": _described(answer, self.handler.output_axes),
            "input_schema": manifest.input_schema,
            "output_schema": manifest.output_schema,
            "metadata": manifest.metadata,
            "verified": {
                "golden_examples": len(self.golden.examples),
                "tolerance": self.golden.tolerances[self.tolerance_key],
            },
            "made_by": {"statehouse": __version__, "torch": str(torch.__version__)},
        }

    @property
    def tolerance_key(self) -> str:
        """Which of the golden examples' tolerances holds: the CPU's, for the module's numbers."""
        return f"cpu/{str(self.handler.dtype).removeprefix('torch.')}"


def _described(tensor: Tensor | None, axes: Mapping[int, str]) -> dict[str, Any] | None:
    if tensor is None:
        return None
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": [axes.get(axis, length) for axis, length in enumerate(tensor.shape)],
    }


def read_version(
    version: PublishedVersion, architectures: tuple[str, ...], snapshots: Snapshots | None = None
) -> ExportSource:
    """Rebuild a version; raises as loading and publishing do."""
    import_code(version, snapshots, architectures)
    checkpoint = load_checkpoint(version.checkpoint_path)
    golden = read_golden(version.golden_path)
    return ExportSource(version, checkpoint, golden, _handler(version, checkpoint))


def _handler(version: PublishedVersion, checkpoint: Checkpoint) -> Handler:
    return CheckpointHandler.from_checkpoint(
        checkpoint, name=version.name, version=version.version, digest=version.digest
    )


def description_json(source: ExportSource, form: str) -> str:
    """Return the description as it is written beside the export, and into it where there is a place."""
    return json.dumps(source.describe(form), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
