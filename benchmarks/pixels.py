"""A photograph as the network takes it: what a peer's program and the raw loop do with a JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SIDE = 128


def pixels(jpeg: bytes) -> np.ndarray:
    """Return float32 (3, 128, 128) in -1..1."""
    with Image.open(io.BytesIO(jpeg)) as image:
        array = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    return np.ascontiguousarray(((array / 255 - 0.5) / 0.5).transpose(2, 0, 1))
