"""Masks, the class number of each pixel, to text and back: PNG as base64, or runs from row to row as JSON."""

import base64
import io
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from statehouse.handlers.images.decode import write_png

MaskFormat = Literal["png", "run_length"]


def write_mask(mask: NDArray[np.uint8], form: MaskFormat) -> str:
    """The mask (height, width) as text: base64 of a greyscale PNG, or JSON `[[class number, pixels], …]`."""
    if form == "png":
        return base64.b64encode(write_png(mask)).decode()
    flat = mask.ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff([*starts, len(flat)])
    runs = np.stack([flat[starts].astype(np.int64), lengths], axis=1)
    return orjson.dumps(runs, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def read_mask(answer: dict[str, Any]) -> NDArray[np.uint8]:
    """The mask (height, width) of one answer of `image_segmentation`, whichever way it is written."""
    if "png_b64" in answer["mask"]:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["mask"]["png_b64"]))))
    runs = np.array(answer["mask"]["runs"], dtype=np.int64)
    return np.repeat(runs[:, 0], runs[:, 1]).astype(np.uint8).reshape(answer["height"], answer["width"])
