"""The forms in which a version can be exported."""

from __future__ import annotations

from enum import StrEnum


class Form(StrEnum):
    """Each is made by ``statehouse.scripts.export.to_<form>``."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    MAR = "mar"
    SAFETENSORS = "safetensors"
