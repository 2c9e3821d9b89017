"""The configs of tasks that look into an image instead of naming it whole."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from statehouse.models.tasks.config import Label, Positive, TaskConfig, refuse, repeated

Pixels = Annotated[int, Field(gt=0, le=16384)]
Share = Annotated[float, Field(ge=0, le=1)]
MAX_CLASSES = 256  # of a mask: one byte a pixel


class ImageTask(TaskConfig):
    """Image bytes in: PNG, JPEG or WebP.

    `exif_orientation` says whether an image is turned upright as its camera noted: `ignore` as PIL.Image.open, timm and
    torchvision do, or `apply`. `max_value` is white in greyscale PNGs of 16 bits: 4095 where they hold 12.
    """

    later_fields = (*TaskConfig.later_fields, "exif_orientation", "max_value")

    exif_orientation: Literal["ignore", "apply"] = "ignore"
    max_value: int = Field(default=65535, ge=1, le=65535)


class ObjectDetectionTask(ImageTask):
    """Image bytes in, boxes with labels and scores out, as torchvision's detection models give them.

    The module gets a list of images (3, height, width), RGB from 0 to 1 and each as large as it came: it resizes
    and standardises itself. `labels` are by class number; class 0 is the background, which is never answered, and
    COCO's list repeats "N/A". Answered are at most `max_detections` with a score of `score_threshold` or more.
    """

    task: Literal["object_detection"] = "object_detection"
    labels: list[Label] = Field(min_length=2)
    score_threshold: Share = 0.5
    max_detections: int = Field(default=100, gt=0, le=10_000)


class ImageSegmentationTask(ImageTask):
    """Image bytes in, the class of every pixel out, as torchvision's semantic segmentation models give it.

    The image's shortest side is resized to `resize` pixels; RGB values are scaled to 0..1, then standardised:
    `(value - mean) / std`. The mask is as large as the image came. `labels` are by class number. `mask` says how it
    is written: a PNG whose pixels are class numbers, or runs of `[class number, pixels]` from row to row.
    """

    task: Literal["image_segmentation"] = "image_segmentation"
    labels: list[Label] = Field(min_length=2, max_length=MAX_CLASSES)
    resize: Pixels = 520
    mean: list[float] = Field(default=[0.485, 0.456, 0.406], min_length=3, max_length=3)
    std: list[Positive] = Field(default=[0.229, 0.224, 0.225], min_length=3, max_length=3)
    mask: Literal["png", "run_length"] = "png"

    @model_validator(mode="after")
    def _labels_differ(self) -> ImageSegmentationTask:
        return refuse(self, repeated("labels", self.labels))
