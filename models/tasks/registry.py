"""What an endpoint does with a module: the typed config of each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from statehouse.models.errors import TaskConfigError, UnknownTaskError
from statehouse.models.plain import suggestion, validate_plain
from statehouse.models.tasks.config import Label, Meaning, Positive, TaskConfig, refuse, repeated
from statehouse.models.tasks.features import CategoricalFeature as CategoricalFeature
from statehouse.models.tasks.features import Feature
from statehouse.models.tasks.features import NumericFeature as NumericFeature
from statehouse.models.tasks.signature import SignatureTask as SignatureTask
from statehouse.models.tasks.text import EmbeddingTask, TextClassificationTask, TokenClassificationTask
from statehouse.models.tasks.vision import ImageSegmentationTask, ImageTask, ObjectDetectionTask, Pixels


class ImageClassificationTask(ImageTask):
    """Image bytes in, labels with scores out.

    The image is resized so that its shortest side is `resize` pixels and its centre of `height` x `width`
    pixels is cut out; without `resize` it is resized to `height` x `width` directly. `interpolation` is Pillow's,
    with antialiasing. Values are scaled to 0..1, then standardised per channel: `(value - mean) / std`.
    """

    later_fields = (*ImageTask.later_fields, "interpolation", "outputs")

    task: Literal["image_classification"] = "image_classification"
    labels: list[Label] = Field(min_length=1)
    height: Pixels
    width: Pixels
    mode: Literal["greyscale", "rgb"]
    resize: Pixels | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: list[float]
    std: list[Positive]
    top_k: int = Field(default=5, gt=0)
    outputs: Meaning | None = None

    @property
    def channels(self) -> int:
        """Channels of the tensor that the module gets: 1 or 3."""
        return 1 if self.mode == "greyscale" else 3

    @model_validator(mode="after")
    def _fields_fit_each_other(self) -> ImageClassificationTask:
        problems = repeated("labels", self.labels)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                problems.append(f"{name} has {len(values)} values; mode {self.mode!r} needs {self.channels}")
        if self.resize is not None and self.resize < max(self.height, self.width):
            problems.append(f"resize is {self.resize}; needs at least max(height, width) to cut from")
        return refuse(self, problems)


class TabularTask(TaskConfig):
    """Named features in, labels with scores (classification) or one number (regression) out.

    A regression answers `output * target_std + target_mean`.
    """

    later_fields = (*TaskConfig.later_fields, "outputs")

    task: Literal["tabular"] = "tabular"
    kind: Literal["classification", "regression"]
    features: list[Feature] = Field(min_length=1)
    labels: list[Label] | None = None
    target_mean: float = 0.0
    target_std: Positive = 1.0
    top_k: int = Field(default=5, gt=0)
    outputs: Meaning | None = None

    @property
    def width(self) -> int:
        """Length of the row that the module gets: one per number, one per category."""
        return sum(len(f.categories) if isinstance(f, CategoricalFeature) else 1 for f in self.features)

    @model_validator(mode="after")
    def _fields_fit_each_other(self) -> TabularTask:
        problems = repeated("features", [feature.name for feature in self.features])
        problems += repeated("labels", self.labels or [])
        if self.kind == "classification" and not self.labels:
            problems.append("labels is missing; a classification names one label per output")
        if self.kind == "classification" and (self.target_mean, self.target_std) != (0.0, 1.0):
            problems.append("target_mean and target_std belong to a regression; leave them out")
        if self.kind == "regression" and self.labels is not None:
            problems.append("labels belong to a classification; leave them out of a regression")
        if self.kind == "regression" and self.outputs is not None:
            problems.append("outputs belong to a classification; leave it out of a regression")
        return refuse(self, problems)


class TensorTask(TaskConfig):
    """Tensors in, tensors out; `input_shape` is one row's, without the batch, None: the architecture's."""

    task: Literal["tensor"] = "tensor"
    input_shape: list[Annotated[int, Field(gt=0)]] | None = None
    dtype: Literal["float32", "int64"] = "float32"


Task = (
    ImageClassificationTask
    | TabularTask
    | TensorTask
    | TextClassificationTask
    | EmbeddingTask
    | TokenClassificationTask
    | ObjectDetectionTask
    | ImageSegmentationTask
    | SignatureTask
)

_TASKS: dict[str, type[Task]] = {
    "image_classification": ImageClassificationTask,
    "tabular": TabularTask,
    "tensor": TensorTask,
    "text_classification": TextClassificationTask,
    "embedding": EmbeddingTask,
    "token_classification": TokenClassificationTask,
    "object_detection": ObjectDetectionTask,
    "image_segmentation": ImageSegmentationTask,
    "signature": SignatureTask,
}


def task_names() -> list[str]:
    """Return the names of all tasks."""
    return list(_TASKS)


def parse_task(name: str, config: Mapping[str, Any]) -> Task:
    """Return the typed config of task `name`.

    Raises:
        UnknownTaskError: no task has this name.
        TaskConfigError: the config has wrong, missing or unknown fields; all of them are listed.
    """
    if name not in _TASKS:
        raise UnknownTaskError(f"unknown task {name!r}{suggestion(name, _TASKS)}")
    task, problems = validate_plain(_TASKS[name], config)
    if task is None:
        raise TaskConfigError(f"the config of task {name!r} does not fit:", problems)
    return task
