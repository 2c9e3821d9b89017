"""The built-in kinds of inputs: what their configs are. How each is read is in `handlers/kinds`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from statehouse.models.tasks.config import Label, PlainConfig, Positive, refuse, repeated
from statehouse.models.tasks.features import CategoricalFeature, Feature
from statehouse.models.tasks.kinds import InputConfig
from statehouse.models.tasks.text import MAX_TOKENS
from statehouse.models.tasks.vision import Pixels

Dtype = Literal[
    "float16", "float32", "float64", "bfloat16", "uint8", "int8", "int16", "int32", "int64", "bool"
]
Size = Annotated[int, Field(gt=0)] | Label | None


class Padding(PlainConfig):
    """How rows of unequal sizes share a forward pass: filled up with `value`, at their end or their beginning.

    `mask` names the argument of `forward` that gets true where a row's own numbers are, `length` the one that gets how
    many they are, along the first free dimension.
    """

    value: float = 0.0
    side: Literal["right", "left"] = "right"
    mask: Label | None = None
    length: Label | None = None


class TensorInput(InputConfig):
    """Numbers. `shape` is a row's, without the batch; a dimension that is null or a name is free.

    Dimensions of one name are equal, in all inputs of a request's row.
    """

    kind: Literal["tensor"] = "tensor"
    dtype: Dtype = "float32"
    shape: list[Size]
    minimum: float | None = None
    maximum: float | None = None
    pad: Padding | None = None

    @property
    def free(self) -> list[int]:
        """The axes of any size."""
        return [axis for axis, size in enumerate(self.shape) if not isinstance(size, int)]

    @model_validator(mode="after")
    def _fields_fit_each_other(self) -> TensorInput:
        problems = []
        if self.pad is not None and not self.free:
            problems.append("pad is for a shape with a free dimension; this one has none")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            problems.append(f"minimum {self.minimum} is above maximum {self.maximum}")
        return refuse(self, problems)


class ImageInput(InputConfig):
    """An image's bytes, prepared as task `image_classification` prepares them: there each field is said."""

    kind: Literal["image"] = "image"
    height: Pixels
    width: Pixels
    mode: Literal["greyscale", "rgb"] = "rgb"
    resize: Pixels | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: list[float] | None = None
    std: list[Positive] | None = None
    exif_orientation: Literal["ignore", "apply"] = "ignore"
    max_value: int = Field(default=65535, ge=1, le=65535)

    @property
    def channels(self) -> int:
        """Channels of the tensor that the module gets: 1 or 3."""
        return 1 if self.mode == "greyscale" else 3

    @model_validator(mode="after")
    def _fields_fit_each_other(self) -> ImageInput:
        problems = [
            f"{name} has {len(values)} values; mode {self.mode!r} needs {self.channels}"
            for name, values in (("mean", self.mean), ("std", self.std))
            if values is not None and len(values) != self.channels
        ]
        if self.resize is not None and self.resize < max(self.height, self.width):
            problems.append(f"resize is {self.resize}; needs at least max(height, width) to cut from")
        return refuse(self, problems)


class FeaturesInput(InputConfig):
    """Named numbers and categories, one vector in their order, as task `tabular` has them."""

    kind: Literal["features"] = "features"
    features: list[Feature] = Field(min_length=1)

    @property
    def width(self) -> int:
        """Length of the row that the module gets: one per number, one per category."""
        return sum(len(f.categories) if isinstance(f, CategoricalFeature) else 1 for f in self.features)

    @model_validator(mode="after")
    def _names_differ(self) -> FeaturesInput:
        return refuse(self, repeated("features", [feature.name for feature in self.features]))


class TextInput(InputConfig):
    """A text, as token ids: `tokenizer` is the text of a tokenizer.json.

    `ids` and `mask` name the arguments of `forward` that get them, int64 (rows, tokens of the longest row); without
    `mask` no such argument is given.
    """

    kind: Literal["text"] = "text"
    tokenizer: str = Field(min_length=2)
    max_tokens: int = Field(gt=0, le=MAX_TOKENS)
    too_long: Literal["truncate", "refuse"] = "truncate"
    max_characters: int = Field(default=100_000, gt=0, le=10_000_000)
    pad_token_id: int = Field(default=0, ge=0)
    ids: Label = "input_ids"
    mask: Label | None = "attention_mask"
