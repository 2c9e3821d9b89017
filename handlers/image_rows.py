"""What tasks share whose rows are images of any size: an image in, by whichever way, to one object per row."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.bodies.inference_tensors import InputTensor, require_inputs
from statehouse.handlers.bodies.payload import Rows, collect_rows
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.images.decode import (
    PixelBudget,
    decode_base64,
    decode_pixels,
    image_bytes,
    write_png,
)
from statehouse.handlers.request import Body, Request
from statehouse.models.architecture import get_architecture, validate_config
from statehouse.models.checkpoint import Checkpoint
from statehouse.models.tasks.vision import ImageSegmentationTask, ObjectDetectionTask

EXAMPLE_SHAPE = (192, 256, 3)
IMAGES_AT_ONCE = 8  # of one size: activations of large images take much memory
TaskT = TypeVar("TaskT", bound=ObjectDetectionTask | ImageSegmentationTask)


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One row: uint8 RGB pixels (3, height, width), and the height and width that the image came in."""

    pixels: Tensor
    height: int
    width: int


class ImageRowsHandler(CheckpointHandler[TaskT]):
    """A row is an ImageRow, with the pixels that `resize` makes of an image.

    Images of one size go through the module together: beside a larger one an image would be filled up, and answered
    differently.
    """

    def adopt(self, checkpoint: Checkpoint, device: torch.device) -> None:
        """See that there is a label for every class, then do as every task does."""
        header = checkpoint.header
        labels = header.task.labels if isinstance(header.task, self.task_class) else []
        if labels and header.architecture is not None and header.config is not None:
            config = validate_config(header.architecture, header.config)
            count = get_architecture(header.architecture).class_count(config)
            if count not in (None, len(labels)):
                raise ModuleMismatchError(
                    f"the module has {count} classes, and the task {len(labels)} labels; expected one per class, "
                    "the background's first where there is one"
                )
        super().adopt(checkpoint, device)

    def configure(self, input_shape: tuple[int, ...] | None) -> None:
        """Rows are objects; what the architecture says of its input does not matter."""
        self.row_shape, self.row_dtype = (), np.dtype(object)

    @abstractmethod
    def resize(self, image: Image.Image) -> Image.Image:
        """The upright RGB image as large as the module is to get it."""

    def row_from_value(self, value: object) -> Rows:
        """One image from `{"b64": …}`."""
        return self._row(decode_base64(value), PixelBudget())

    def rows_from_values(self, values: Sequence[object]) -> Rows:
        """Several images from a list of `{"b64": …}`, all from one budget."""
        budget = PixelBudget()
        return collect_rows(values, lambda value: self._row(decode_base64(value), budget))

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One image from its own bytes, whatever type they were declared to be."""
        return self._row(body, PixelBudget())

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The images of the tensor `image`: bytes, or base64 where it is JSON."""
        [images] = require_inputs(tensors, self.tensor_inputs())
        budget = PixelBudget()
        return collect_rows(images, lambda image: self._row(image_bytes(image), budget))

    def _row(self, body: Body, budget: PixelBudget) -> Rows:
        decoded = decode_pixels(body, self.task, "rgb", budget)
        image = decoded if isinstance(decoded, Image.Image) else Image.fromarray(decoded)
        pixels = np.asarray(self.resize(image), dtype=np.uint8).transpose(2, 0, 1)
        row = np.empty((), dtype=object)
        row[()] = ImageRow(torch.from_numpy(pixels.copy()), image.height, image.width)
        return row

    def in_groups(self, images: Sequence[Tensor]) -> Iterable[list[int]]:
        """The places of images that are of one size, a few at once."""
        by_size: dict[torch.Size, list[int]] = {}
        for place, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(place)
        at_once = self.task.rows_per_batch or IMAGES_AT_ONCE
        for places in by_size.values():
            for start in range(0, len(places), at_once):
                yield places[start : start + at_once]

    def make_example(self, seed: int = 0) -> Request:
        """Random pixels as a PNG."""
        pixels = np.random.default_rng(seed).integers(0, 256, EXAMPLE_SHAPE, dtype=np.uint8)
        return Request(write_png(pixels), "image/png")

    def input_schema(self) -> dict[str, Any]:
        """Base64 in an object; the raw bytes may be the body as well."""
        return object_schema({"b64": {"type": "string", "contentEncoding": "base64"}})

    def tensor_inputs(self) -> list[dict[str, Any]]:
        """One tensor, `image`, of whole files."""
        return [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
