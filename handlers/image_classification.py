"""Task `image_classification`: an image in, labels with scores out."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.bodies.inference_tensors import InputTensor, require_inputs
from statehouse.handlers.bodies.payload import Rows, collect_rows
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.images.decode import PixelBudget, decode_base64, decode_image, image_bytes, make_png
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.pipeline.labels import class_answers, class_outputs, class_schema
from statehouse.handlers.request import Body, Request
from statehouse.models.tasks.registry import ImageClassificationTask


class ImageClassificationHandler(CheckpointHandler[ImageClassificationTask]):
    """Rows are pixels (channels, height, width) from 0 to 255; scaling and standardising happen per batch."""

    task_class = ImageClassificationTask

    def configure(self, input_shape: tuple[int, ...] | None) -> None:
        """Pixels as the task says, flattened where the module takes flat rows."""
        self.row_shape, self.row_dtype = (
            (self.task.channels, self.task.height, self.task.width),
            np.dtype("u1"),
        )
        self.module_shape = input_shape or self.row_shape
        if self.module_shape not in (self.row_shape, (prod(self.row_shape),)):
            raise ModuleMismatchError(
                f"the task gives images of {list(self.row_shape)}, and the architecture takes "
                f"{list(self.module_shape)}; change height, width or mode"
            )
        self.mean, self.std = (
            torch.tensor(values, device=self.device).reshape(-1, 1, 1)
            for values in (self.task.mean, self.task.std)
        )

    def row_from_value(self, value: object) -> Rows:
        """One image from `{"b64": …}`."""
        return decode_image(decode_base64(value), self.task, PixelBudget())

    def rows_from_values(self, values: Sequence[object]) -> Rows:
        """Several images from a list of `{"b64": …}`, all from one budget."""
        budget = PixelBudget()
        return collect_rows(values, lambda value: decode_image(decode_base64(value), self.task, budget))

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One image from its own bytes, whatever type they were declared to be."""
        return decode_image(body, self.task, PixelBudget())

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The images of the tensor `image`: bytes, or base64 where it is JSON."""
        [images] = require_inputs(tensors, self.tensor_inputs())
        budget = PixelBudget()
        return collect_rows(images, lambda image: decode_image(image_bytes(image), self.task, budget))

    def preprocess(self, rows: Rows) -> torch.Tensor:
        """Scale to 0..1 and standardise each channel."""
        pixels = torch.from_numpy(rows).to(self.device).float() / 255
        standardised = (pixels - self.mean) / self.std
        return standardised.to(self.dtype).reshape(-1, *self.module_shape)

    def postprocess(self, outputs: torch.Tensor) -> Outputs:
        """Scores of the labels."""
        return class_outputs(outputs, self.task.labels, self.task.outputs)

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """The best labels per image."""
        return class_answers(outputs, self.task.labels, self.task.top_k)

    def make_example(self, seed: int = 0) -> Request:
        """Random pixels as a PNG."""
        return Request(make_png(seed, self.task), "image/png")

    def input_schema(self) -> dict[str, Any]:
        """Base64 in an object; the raw bytes may be the body as well."""
        return object_schema({"b64": {"type": "string", "contentEncoding": "base64"}})

    def output_schema(self) -> dict[str, Any]:
        """Label, score and the ranking."""
        return class_schema(self.task.labels, self.task.top_k, self.task.outputs)

    def tensor_inputs(self) -> list[dict[str, Any]]:
        """One tensor, `image`, of whole files."""
        return [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
