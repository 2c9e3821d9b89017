"""Whether an exported module answers as the version does: golden examples, and batches of other sizes.

Imports torch: import it late.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from statehouse.handlers.errors import GoldenMismatchError
from statehouse.scripts.export.source import ExportSource

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
    if source.traced_call is None:
        return problems
    for rows in CHECKED_ROWS:
        inputs = source.inputs(rows)
        problems += _differences(source, module, inputs, f"{rows} rows at once")
        for axis, name in source.handler.input_axes.items():
            shorter = max(1, inputs.shape[axis] * 2 // 3)
            if axis != 0:
                where = f"{rows} rows at once with a {name} of {shorter}"
                problems += _differences(source, module, inputs.narrow(axis, 0, shorter), where)
    return problems


def _differences(source: ExportSource, module: nn.Module, inputs: Tensor, where: str) -> list[str]:
    near = source.golden.tolerances[source.tolerance_key]
    with torch.inference_mode():
        expected = source.module(inputs)
        try:
            torch.testing.assert_close(module(inputs), expected, rtol=near, atol=near)
        except Exception as error:  # noqa: BLE001 - a runtime of another make may raise anything
            said = " ".join(str(error).split())[:200]
            return [f"{where}: {type(error).__name__}: {said}"]
    return []
