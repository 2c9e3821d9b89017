"""The built-in kinds of outputs: what their configs are. What each answers is in `handlers/kinds`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from statehouse.models.tasks.config import Label, Meaning, Positive, refuse, repeated
from statehouse.models.tasks.kinds import OutputConfig

Score = Annotated[float, Field(ge=0, le=1)]


class TensorOutput(OutputConfig):
    """Numbers as the module gives them.

    A dimension of `shape`, which is a row's, may be a name: where an input's dimension of this name was filled up, what
    answers the filling is cut off.
    """

    kind: Literal["tensor"] = "tensor"
    shape: list[Annotated[int, Field(gt=0)] | Label | None] | None = None


class LabelsOutput(OutputConfig):
    """Labels with scores: of one choice (softmax), or with `multi` of each by itself (sigmoid).

    With `multi` every label of at least `threshold` is in the answer's `labels`. `outputs` says what the module gives,
    as in task `image_classification`.
    """

    kind: Literal["labels"] = "labels"
    labels: list[Label] = Field(min_length=1)
    multi: bool = False
    threshold: Score = 0.5
    top_k: int = Field(default=5, gt=0)
    outputs: Meaning = "logits"

    @model_validator(mode="after")
    def _labels_differ(self) -> LabelsOutput:
        return refuse(self, repeated("labels", self.labels))


class ValueOutput(OutputConfig):
    """One number, or with `names` several: `output * std + mean`, in the unit that `mean` and `std` are in."""

    kind: Literal["value"] = "value"
    names: list[Label] | None = None
    mean: float | list[float] = 0.0
    std: Positive | list[Positive] = 1.0

    @model_validator(mode="after")
    def _fields_fit_each_other(self) -> ValueOutput:
        problems = repeated("names", self.names or [])
        count = len(self.names) if self.names else 1
        for name, values in (("mean", self.mean), ("std", self.std)):
            if isinstance(values, list) and len(values) != count:
                problems.append(f"{name} has {len(values)} values; expected one, or {count}")
        return refuse(self, problems)


class EmbeddingOutput(OutputConfig):
    """A vector; with `normalise` divided by its Euclidean length."""

    kind: Literal["embedding"] = "embedding"
    normalise: bool = True


class ImageOutput(OutputConfig):
    """A PNG, as base64: of (channels, height, width) with one channel or three, or of (height, width).

    `minimum` becomes black and `maximum` white; what lies outside becomes the one or the other.
    """

    kind: Literal["image"] = "image"
    minimum: float = 0.0
    maximum: float = 1.0

    @model_validator(mode="after")
    def _range_is_one(self) -> ImageOutput:
        if self.minimum >= self.maximum:
            return refuse(self, [f"minimum {self.minimum} is not below maximum {self.maximum}"])
        return self
