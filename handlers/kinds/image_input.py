"""Kind `image` of inputs: an image's bytes, prepared as task `image_classification` prepares them."""

import base64
from collections.abc import Mapping
from typing import Any

import torch

from statehouse.handlers.bodies.content import IMAGE_TYPES
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.images.decode import PixelBudget, decode_base64, decode_image, image_bytes, make_png
from statehouse.handlers.kinds.contract import Json, NamedInput
from statehouse.handlers.request import JSON_TYPE, Body
from statehouse.models.tasks.input_kinds import ImageInput
from statehouse.models.tasks.kinds import Arrays


class NamedImage(NamedInput):
    """Arrays are pixels (channels, height, width) from 0 to 255; scaling and standardising happen per batch."""

    config: ImageInput
    media_types = IMAGE_TYPES

    def __init__(self, name: str, config: ImageInput) -> None:
        super().__init__(name, config)
        self.mean = torch.tensor(config.mean or [0.0] * config.channels).reshape(-1, 1, 1)
        self.std = torch.tensor(config.std or [1.0] * config.channels).reshape(-1, 1, 1)

    def from_json(self, value: object, budget: PixelBudget) -> Arrays:
        """From `{"b64": …}`."""
        return self._decoded(decode_base64(value), budget)

    def from_bytes(self, body: Body, content_type: str, budget: PixelBudget) -> Arrays:
        """From the image's own bytes, whatever type they were declared to be."""
        if content_type == JSON_TYPE:
            return super().from_bytes(body, content_type, budget)
        return self._decoded(body, budget)

    def from_elements(self, elements: Mapping[str, Any], budget: PixelBudget) -> Arrays:
        """From an element: bytes, or base64 where it is JSON."""
        return self._decoded(image_bytes(elements[""]), budget)

    def _decoded(self, body: Body | memoryview, budget: PixelBudget) -> Arrays:
        return {self.name: decode_image(body, self.config, budget)}

    def prepare(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Scaled to 0..1 and standardised, each channel by itself."""
        pixels = batch[self.name]
        scaled = pixels.float() / 255
        return batch | {self.name: (scaled - self.mean.to(pixels.device)) / self.std.to(pixels.device)}

    def schema(self) -> Json:
        """Base64 in an object; as a part of a form it is the bytes."""
        return object_schema({"b64": {"type": "string", "contentEncoding": "base64"}})

    def example(self, seed: int, sizes: dict[str, int]) -> Any:  # noqa: ANN401
        """Random pixels as a PNG."""
        return {"b64": base64.b64encode(make_png(seed, self.config)).decode()}
