"""A library's own preprocessing and labels complete what --task-config leaves open, and never what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from statehouse.models import build_model
from statehouse.models.errors import CheckpointContentError, StatehouseError
from statehouse.scripts.errors import PublishError
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.publishing.source import Description, read_source
from statehouse.scripts.store import LocalStore


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
    assert "the module gives [3] per row; expected one output per label, 2" in str(caught.value)
    assert [entry.name for entry in (tmp_path / "store").iterdir() if entry.is_dir()] == []


LABELS = ["n01", "n02"]


@pytest.fixture
def timm_folder(tmp_path: Path) -> Path:
    """As timm saves a network of two classes that somebody trained on images of their own size."""
    from statehouse.models.libraries.timm import timm

    torch.manual_seed(0)
    module = timm.create_model("mobilenetv3_small_050", num_classes=2, drop_rate=0.3).eval()
    timm.models.save_for_hf(
        module,
        tmp_path / "saved",
        model_config={"label_names": LABELS, "label_descriptions": {"n01": "cat"}},
        data_config={"input_size": (3, 96, 96), "crop_pct": 0.9, "mean": (0.1, 0.2, 0.3)},
        safe_serialization=True,
    )
    return tmp_path / "saved"


def test_a_folder_of_timms_keeps_its_preprocessing_and_labels(timm_folder: Path, tmp_path: Path) -> None:
    result = publish(
        timm_folder,
        store=LocalStore(tmp_path / "store"),
        name="pets",
        version="1.0",
        task="image_classification",
    )
    manifest = result.version.manifest
    assert manifest.architecture == "timm:mobilenetv3_small_050"
    assert manifest.labels == ["cat", "n02"]
    wanted = {"height": 96, "width": 96, "resize": 106, "interpolation": "bicubic", "mean": [0.1, 0.2, 0.3]}
    assert wanted.items() <= manifest.task_config.items()
    assert manifest.metadata["task_config_from"] == "the pretrained_cfg in its config.json"


def test_it_answers_as_timm_does(timm_folder: Path) -> None:
    from statehouse.handlers.base import CheckpointHandler
    from statehouse.handlers.images.decode import write_png
    from statehouse.handlers.request import Request
    from statehouse.models.libraries.timm import timm

    module = timm.create_model("mobilenetv3_small_050", num_classes=2).eval()
    module.load_state_dict(load_file(timm_folder / "model.safetensors"))
    saved = json.loads((timm_folder / "config.json").read_text())["pretrained_cfg"]
    transform = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=saved))
    pixels = np.random.default_rng(0).integers(0, 256, (130, 170, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = module(transform(Image.fromarray(pixels))[None]).softmax(1)[0]
    handler = CheckpointHandler.from_checkpoint(
        read_source(timm_folder, Description(task="image_classification"))
    )
    [response] = handler.answer([Request(write_png(pixels), "image/png")])
    scores = {each["label"]: each["score"] for each in json.loads(response.body)["top_k"]}
    assert [scores["cat"], scores["n02"]] == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": "mobilenetv3_smal_050"}, "did you mean 'mobilenetv3_small_050'"),
        ({"architecture": "hf-hub:someone/else"}, "timm has no model"),
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "checkpoint_path: leave it out"),
        ({"model_args": ["x"]}, "model_args: is a list; expected a dict"),
        ({"label_names": {"0": "a", "2": "b"}}, "label_names: has"),
        ({"label_names": ["a"]}, "expected one output per label, 1"),
        ({"pretrained_cfg": {"input_size": "large"}}, "task.labels: is missing"),
    ],
)
def test_a_folder_that_says_something_else_is_refused(
    timm_folder: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    file = timm_folder / "config.json"
    held = json.loads(file.read_text())
    if "pretrained_cfg" in change:
        del held["label_names"]
    file.write_text(json.dumps(held | change))
    with pytest.raises(StatehouseError) as caught:
        publish(
            timm_folder,
            store=LocalStore(tmp_path / "store"),
            name="pets",
            version="1.0",
            task="image_classification",
        )
    assert said in str(caught.value)
