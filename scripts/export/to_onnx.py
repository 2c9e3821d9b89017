"""ONNX: one file for ONNX Runtime and others, with a batch axis of any length.

Imports torch and the extra ``export``: import it late.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from statehouse.models.extras import how_to_install
from statehouse.scripts.errors import ExportError
from statehouse.scripts.export.source import ExportSource, description_json
from statehouse.scripts.export.verification import module_problems

SUFFIX = ".onnx"
DESCRIPTION = "statehouse"  # in the file's metadata
MAX_ONE_FILE_BYTES = 1_800_000_000  # protobuf ends at 2 GiB; beyond, the tensors go into NAME.onnx.data


def write(source: ExportSource, path: Path) -> None:
    """Write the module as ONNX; its input is called ``input``, its output ``output``."""
    _require_extra()
    rows = source.require_traced_input("onnx")
    size_bytes = sum(each.numel() * each.itemsize for each in source.module.state_dict().values())
    with _quiet():
        program = torch.onnx.export(
            source.module,
            (rows,),
            dynamo=True,
            dynamic_shapes=(
                {axis: torch.export.Dim(name) for axis, name in source.handler.input_axes.items()},
            ),
            input_names=["input"],
            output_names=["output"],
            verbose=False,
        )
        if program is None:  # only the old exporter returns none
            raise ExportError("torch.onnx.export returned nothing; expected a program", [])
        program.model.metadata_props[DESCRIPTION] = description_json(source, "onnx")
        program.save(str(path), external_data=size_bytes > MAX_ONE_FILE_BYTES)


def problems(source: ExportSource, path: Path) -> list[str]:
    """Run it in ONNX Runtime and compare."""
    return module_problems(source, OnnxModule(path))


class OnnxModule(nn.Module):
    """An ONNX file that answers like a module, by ONNX Runtime on the CPU."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output for a batch."""
        [output] = self._session.run(["output"], {"input": inputs.contiguous().numpy()})
        return torch.from_numpy(output)


def _require_extra() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(
            "ONNX needs packages that are not installed:",
            [f"{error.name}: install them with {how_to_install('export')}"],
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of its own steps off the terminal."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
