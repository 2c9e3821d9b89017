"""The configs of tasks that look into an image."""

from __future__ import annotations

import pytest

from statehouse.models.errors import TaskConfigError
from statehouse.models.tasks.vision import MAX_CLASSES, ImageSegmentationTask, ObjectDetectionTask


@pytest.mark.parametrize("kind", [ObjectDetectionTask, ImageSegmentationTask])
def test_what_came_later_is_said_where_it_is_not_as_usual(kind):
    labels = ["background", "thing"]
    assert {"exif_orientation", "max_value"}.isdisjoint(kind(labels=labels).to_plain())
    said = {"exif_orientation": "apply", "max_value": 4095}
    assert said.items() <= kind(labels=labels, **said).to_plain().items()


@pytest.mark.parametrize("wrong", [{"exif_orientation": "upright"}, {"max_value": 0}, {"max_value": 65536}])
def test_what_no_image_can_have_is_refused(wrong):
    with pytest.raises(TaskConfigError, match=next(iter(wrong))):
        ObjectDetectionTask(labels=["background", "thing"], **wrong)


def test_labels_of_boxes_may_repeat_and_those_of_pixels_may_not():
    assert ObjectDetectionTask(labels=["background", "N/A", "N/A"]).max_detections == 100
    with pytest.raises(TaskConfigError, match="labels must differ from each other; repeated: N/A"):
        ImageSegmentationTask(labels=["background", "N/A", "N/A"])


def test_the_class_of_a_pixel_is_one_byte():
    labels = [f"class {number}" for number in range(MAX_CLASSES)]
    assert len(ImageSegmentationTask(labels=labels).labels) == 256
    with pytest.raises(TaskConfigError, match="labels"):
        ImageSegmentationTask(labels=[*labels, "one more"])


@pytest.mark.parametrize("kind", [ObjectDetectionTask, ImageSegmentationTask])
def test_the_background_alone_is_nothing_to_find(kind):
    with pytest.raises(TaskConfigError, match="labels"):
        kind(labels=["background"])


@pytest.mark.parametrize(
    "wrong",
    [{"resize": 0}, {"resize": 16385}, {"mean": [0.5, 0.5]}, {"std": [0.1, 0.1, 0.0]}, {"mask": "jpeg"}],
)
def test_what_no_segmentation_can_have_is_refused(wrong):
    with pytest.raises(TaskConfigError, match=next(iter(wrong))):
        ImageSegmentationTask(labels=["background", "thing"], **wrong)


@pytest.mark.parametrize(
    "wrong", [{"score_threshold": 1.5}, {"max_detections": 0}, {"max_detections": 10_001}]
)
def test_what_no_detection_can_have_is_refused(wrong):
    with pytest.raises(TaskConfigError, match=next(iter(wrong))):
        ObjectDetectionTask(labels=["background", "thing"], **wrong)
