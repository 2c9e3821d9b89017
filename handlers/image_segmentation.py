"""Task `image_segmentation`: an image in; the class of each of its pixels out."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from statehouse.handlers.bodies.payload import Rows
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import NonFiniteOutputError
from statehouse.handlers.image_rows import ImageRowsHandler
from statehouse.handlers.images.decode import resize_shortest
from statehouse.handlers.images.masks import write_mask
from statehouse.handlers.images.segmentation_module import SegmentationModule
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.models.tasks.vision import ImageSegmentationTask

# What the module gets (3, height, width), and the image's own height and width.
Sized = tuple[Tensor, int, int]


class ImageSegmentationHandler(ImageRowsHandler[ImageSegmentationTask]):
    """The module gets images with their shortest side resized; masks are as large as the images came."""

    task_class = ImageSegmentationTask
    input_axes: ClassVar[Mapping[int, str]] = {0: "batch", 2: "height", 3: "width"}
    output_axes: ClassVar[Mapping[int, str]] = {0: "batch", 2: "mask_height", 3: "mask_width"}

    def wrap(self, module: torch.nn.Module) -> SegmentationModule:
        """The logits alone."""
        return SegmentationModule(module, len(self.task.labels))

    def configure(self, input_shape: tuple[int, ...] | None) -> None:
        """Take mean and deviation to the device."""
        super().configure(input_shape)
        self.mean, self.std = (
            torch.tensor(values, device=self.device).reshape(-1, 1, 1)
            for values in (self.task.mean, self.task.std)
        )

    def resize(self, image: Image.Image) -> Image.Image:
        """The image with its shortest side as long as the task says."""
        return resize_shortest(image, self.task.resize)

    def preprocess(self, rows: Rows) -> list[Sized]:
        """Scale to 0..1 and standardise each channel."""
        scaled = [row.pixels.to(self.device).float() / 255 for row in rows]
        standardised = [((pixels - self.mean) / self.std).to(self.dtype) for pixels in scaled]
        return [(pixels, row.height, row.width) for pixels, row in zip(standardised, rows, strict=True)]

    def module_input(self, inputs: Sequence[Sized]) -> Tensor:
        """Images of one size, (N, 3, height, width)."""
        return torch.stack([pixels for pixels, _, _ in inputs])

    def inference(self, inputs: Sequence[Sized]) -> list[NDArray[np.uint8]]:
        """The class number of every pixel of each image, (height, width)."""
        masks: list[NDArray[np.uint8]] = [np.empty((0, 0), np.uint8)] * len(inputs)
        with torch.inference_mode():
            for places in self.in_groups([pixels for pixels, _, _ in inputs]):
                answer = self.module(self.module_input([inputs[place] for place in places]))
                for place, logits in zip(places, answer, strict=True):
                    masks[place] = _best_class(logits.float(), *inputs[place][1:])
        return masks

    def postprocess(self, outputs: Sequence[NDArray[np.uint8]]) -> Outputs:
        """The masks as text, their sizes, and how many pixels there are of each class."""
        counts = [np.bincount(mask.ravel(), minlength=len(self.task.labels)) for mask in outputs]
        return {
            "mask": np.array([write_mask(mask, self.task.mask) for mask in outputs], dtype=object),
            "size": np.array([mask.shape for mask in outputs], dtype=np.int64),
            "pixels": np.array(counts, dtype=np.int64),
        }

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """`{"height", "width", "classes": [{"label", "class", "pixels"}, …], "mask": …}` per image."""
        return [
            {
                "height": height,
                "width": width,
                "classes": [
                    {"class": number, "label": self.task.labels[number], "pixels": counts[number]}
                    for number in np.flatnonzero(counts).tolist()
                ],
                "mask": {"png_b64": mask} if self.task.mask == "png" else {"runs": orjson.Fragment(mask)},
            }
            for mask, (height, width), counts in zip(
                outputs["mask"], outputs["size"], outputs["pixels"], strict=True
            )
        ]

    def output_schema(self) -> dict[str, Any]:
        """The mask, its size, and the classes that are in it."""
        count = {"type": "integer", "minimum": 1}
        number = {"type": "integer", "minimum": 0, "maximum": len(self.task.labels) - 1}
        found = object_schema(
            {"class": number, "label": {"type": "string", "enum": self.task.labels}, "pixels": count}
        )
        run = {"type": "array", "prefixItems": [number, count], "minItems": 2, "maxItems": 2}
        png = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
        mask = {"png_b64": png} if self.task.mask == "png" else {"runs": {"type": "array", "items": run}}
        return object_schema(
            {
                "height": count,
                "width": count,
                "classes": {"type": "array", "items": found, "minItems": 1},
                "mask": object_schema(mask),
            }
        )


def _best_class(logits: Tensor, height: int, width: int) -> NDArray[np.uint8]:
    """The class of each pixel of logits (classes, h, w) at full size; class by class, to bound the memory."""
    if not torch.isfinite(logits).all():
        raise NonFiniteOutputError("The module's output is NaN or infinite. The checkpoint is at fault.")
    best = torch.full((height, width), -torch.inf, device=logits.device)
    mask = torch.zeros((height, width), dtype=torch.uint8, device=logits.device)
    for number, own in enumerate(logits):
        full = interpolate(own[None, None], (height, width), mode="bilinear", align_corners=False)[0, 0]
        mask[full > best] = number
        best = torch.maximum(best, full)
    result: NDArray[np.uint8] = mask.cpu().numpy()
    return result
