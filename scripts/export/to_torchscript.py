"""TorchScript: the module with its code recorded, for ``torch.jit.load`` and libtorch.

Imports torch: import it late.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.jit._trace import TracerWarning

from statehouse.scripts.export.source import ExportSource, description_json
from statehouse.scripts.export.verification import module_problems

SUFFIX = ".torchscript.pt"
DESCRIPTION = "statehouse.json"  # in the archive's extra files


def write(source: ExportSource, path: Path) -> None:
    """Record the module on made rows; what it decides in Python is recorded as it was for those."""
    rows = source.require_traced_input("torchscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TracerWarning)  # golden examples and other batch sizes decide
        warnings.simplefilter("ignore", DeprecationWarning)  # for torch.export, which libtorch does not read
        # The same of torch 2.14 and later; and a library's: of its modules every attribute is read.
        warnings.simplefilter("ignore", FutureWarning)
        traced: Any = torch.jit.trace(source.module, rows, check_trace=False)  # type: ignore[no-untyped-call]
        extra = {DESCRIPTION: description_json(source, "torchscript")}
        torch.jit.save(traced, str(path), _extra_files=extra)


def read(path: Path) -> nn.Module:
    """Return the recorded module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)  # the same, of torch 2.14 and later
        module: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    return module.eval()


def problems(source: ExportSource, path: Path) -> list[str]:
    """Load it with ``torch.jit.load`` and compare."""
    return module_problems(source, read(path))
