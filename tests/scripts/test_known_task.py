"""A library's own preprocessing and labels complete what --task-config leaves open, and never what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from models import build_model
from models.errors import CheckpointContentError
from scripts.errors import PublishError
from scripts.publish import publish
from scripts.source import Description, read_source
from scripts.store import LocalStore


def source(
    folder: Path, architecture: str, config: dict[str, Any], given: dict[str, Any] | None, task: str
) -> Any:
    file = folder / "weights.pth"
    torch.save(build_model(architecture, config).state_dict(), file)
    return read_source(file, Description(architecture, config, task, given)).header


def test_as_many_classes_have_torchvisions_labels(tmp_path: Path) -> None:
    header = source(tmp_path, "torchvision:mobilenet_v3_small", {}, None, "image_classification")
    assert len(header.task.labels) == 1000
    assert (header.task.resize, header.task.height, header.task.interpolation) == (256, 224, "bilinear")
    assert "IMAGENET1K_V1, as there are its 1000 classes" in header.metadata["task_config_from"]


def test_other_classes_need_labels_and_no_more(tmp_path: Path) -> None:
    name, config = "timm:mobilenetv3_small_050", {"num_classes": 2}
    with pytest.raises(CheckpointContentError) as caught:
        source(tmp_path, name, config, None, "image_classification")
    assert caught.value.problems == ["task.labels: is missing (give --task-config '{…}')"]
    header = source(tmp_path, name, config, {"labels": ["cat", "dog"]}, "image_classification")
    assert header.task.labels == ["cat", "dog"]
    assert header.task.interpolation == "bicubic"
    assert header.metadata["task_config_from"].endswith("the preprocessing alone")


def test_what_is_given_goes_first(tmp_path: Path) -> None:
    given = {
        "labels": [f"class {number}" for number in range(1000)], "height": 32, "width": 32, "mode": "rgb",
        "resize": None, "interpolation": "bilinear", "mean": [0.0] * 3, "std": [1.0] * 3,
    }  # fmt: skip
    header = source(tmp_path, "torchvision:mobilenet_v3_small", {}, given, "image_classification")
    assert header.task.labels[7] == "class 7"
    assert (header.task.height, header.task.resize, header.task.mean) == (32, None, [0.0] * 3)
    assert "task_config_from" not in header.metadata


def test_detection_and_segmentation_have_theirs(tmp_path: Path) -> None:
    detection = "torchvision:ssdlite320_mobilenet_v3_large"
    assert source(tmp_path, detection, {}, None, "object_detection").task.labels[1] == "person"
    segmentation = "torchvision:lraspp_mobilenet_v3_large"
    assert source(tmp_path, segmentation, {}, None, "image_segmentation").task.labels[8] == "cat"


def test_a_task_that_is_not_of_the_architecture_gets_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointContentError, match=r"task.labels: is missing"):
        source(tmp_path, "torchvision:mobilenet_v3_small", {}, None, "object_detection")


def test_labels_fewer_than_classes_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(build_model("torchvision:mobilenet_v3_small", {"num_classes": 3}).state_dict(), file)
    with pytest.raises(PublishError) as caught:
        publish(
            file,
            store=LocalStore(tmp_path / "store"),
            name="net",
            version="1.0",
            architecture="torchvision:mobilenet_v3_small",
            config={"num_classes": 3},
            task="image_classification",
            task_config={"labels": ["a", "b"]},
        )
    assert "the module gives [3] per row; expected one logit per label, 2" in str(caught.value)
    assert [entry.name for entry in (tmp_path / "store").iterdir() if entry.is_dir()] == []
