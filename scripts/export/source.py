"""What an export is made from: a published version, rebuilt on the CPU, with its golden examples.

Imports torch: import it late.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from handlers.base import CheckpointHandler, input_shape_of
from handlers.golden import Golden, read_golden
from handlers.payload import decode
from models.architecture_import import import_architectures
from models.checkpoint import Checkpoint, load_checkpoint
from scripts import __version__
from scripts.source import Handler
from scripts.store import PublishedVersion

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

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the input's first axes, those that may have any length."""
        return ("batch", "length") if self.handler.reads_text else ("batch",)

    def inputs(self, rows: int) -> Tensor:
        """Return what the module gets for so many made rows, each different."""
        made = [decode(self.handler.make_example(seed), self.handler).rows for seed in range(rows)]
        return self.handler.preprocess(np.concatenate(made))

    def new_handler(self) -> Handler:
        """Return another handler of the same version, whose module may be replaced."""
        return CheckpointHandler.from_checkpoint(
            self.checkpoint, name=self.version.name, version=self.version.version, digest=self.version.digest
        )

    def describe(self, form: str) -> dict[str, Any]:
        """Return as plain data what one must know to use the module without Statehouse."""
        with torch.inference_mode():
            given = self.inputs(TRACED_ROWS)
            answer = self.module(given)
        manifest = self.version.manifest
        return {
            "name": manifest.name,
            "version": manifest.version,
            "digest": manifest.digest,
            "form": form,
            "architecture": manifest.architecture,
            "config": manifest.config,
            "task": manifest.task,
            "task_config": manifest.task_config,
            "input": _described(given, self.axes),
            "output": _described(answer, self.axes if answer.ndim > 2 else self.axes[:1]),
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


def _described(tensor: Tensor, axes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": [*axes, *tensor.shape[len(axes) :]],
    }


def read_version(version: PublishedVersion, architectures: tuple[str, ...]) -> ExportSource:
    """Rebuild a version; raises as loading and publishing do."""
    import_architectures(architectures)
    checkpoint = load_checkpoint(version.checkpoint_path)
    golden = read_golden(version.golden_path)
    handler = CheckpointHandler.from_checkpoint(
        checkpoint, name=version.name, version=version.version, digest=version.digest
    )
    return ExportSource(version, checkpoint, golden, handler)


def description_json(source: ExportSource, form: str) -> str:
    """Return the description as it is written beside the export, and into it where there is a place."""
    return json.dumps(source.describe(form), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
