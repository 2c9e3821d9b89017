"""Whether an exported module answers as the version does: golden examples, and batches of other sizes.

Imports torch: import it late.
"""

from __future__ import annotations

import torch
from torch import nn

from handlers.errors import GoldenMismatchError
from scripts.export.source import ExportSource

CHECKED_ROWS = (1, 3, 5)  # none of them the number of rows that was recorded


def module_problems(source: ExportSource, module: nn.Module) -> list[str]:
    """Say every way in which ``module``, the exported form, answers otherwise than the version."""
    handler = source.handler_of(source.checkpoint)
    handler.module = module
    problems: list[str] = []
    try:
        handler.check_golden(source.golden)
    except GoldenMismatchError as error:
        problems += error.problems
    if source.sample is None:
        return problems
    return problems + [problem for rows in CHECKED_ROWS if (problem := _batch_problem(source, module, rows))]


def _batch_problem(source: ExportSource, module: nn.Module, rows: int) -> str | None:
    near = source.golden.tolerances[source.tolerance_key]
    inputs = source.inputs(rows)
    with torch.inference_mode():
        expected = source.module(inputs)
        try:
            torch.testing.assert_close(module(inputs), expected, rtol=near, atol=near)
        except Exception as error:  # noqa: BLE001 - a runtime of another make may raise anything
            said = " ".join(str(error).split())[:200]
            return f"{rows} rows at once: {type(error).__name__}: {said}"
    return None
