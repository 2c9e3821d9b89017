"""Object detection: in the image's own pixels, as the module alone says, whatever shares its batch."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.request import Request
from statehouse.models import ObjectDetectionTask, build_model, load_checkpoint, save_checkpoint
from statehouse.models.checkpoint import Checkpoint

ARCHITECTURE = "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn"
CONFIG = {
    "num_classes": 3,
    "min_size": 96,
    "max_size": 128,
    "box_score_thresh": 0.0,
    "rpn_post_nms_top_n_test": 40,
}
LABELS = ["__background__", "cat", "dog"]
TOLERANCE = 1e-4


def image(width: int, height: int, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    torch.manual_seed(0)
    model = build_model(ARCHITECTURE, CONFIG)
    task = ObjectDetectionTask(labels=LABELS, score_threshold=0.3, max_detections=7)
    path = tmp_path_factory.mktemp("detection") / "a.pt"
    save_checkpoint(path, model, architecture=ARCHITECTURE, config=CONFIG, task=task)
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def handler(checkpoint: Checkpoint) -> CheckpointHandler[Any]:
    return CheckpointHandler.from_checkpoint(checkpoint)


def answer(handler: CheckpointHandler[Any], *bodies: bytes, kind: str = "image/png") -> list[Any]:
    responses = handler.answer([Request(body, kind) for body in bodies])
    return [json.loads(response.body) for response in responses]


def test_detections_are_the_librarys_own(handler: CheckpointHandler[Any], checkpoint: Checkpoint) -> None:
    body = image(150, 90, seed=1)
    pixels = torch.from_numpy(np.array(Image.open(io.BytesIO(body))).transpose(2, 0, 1)) / 255
    with torch.inference_mode():
        [own] = checkpoint.build()([pixels])
    [answered] = answer(handler, body)
    chosen = [index for index in range(len(own["scores"])) if own["scores"][index] >= 0.3][:7]
    assert len(answered["detections"]) == len(chosen) > 2
    for found, index in zip(answered["detections"], chosen, strict=True):
        assert found["label"] == LABELS[own["labels"][index]]
        assert found["score"] == pytest.approx(float(own["scores"][index]), abs=TOLERANCE)
        assert found["box"] == pytest.approx(own["boxes"][index].tolist(), rel=TOLERANCE, abs=TOLERANCE)
        x1, y1, x2, y2 = found["box"]
        assert 0 <= x1 <= x2 <= 150
        assert 0 <= y1 <= y2 <= 90


def test_an_image_is_answered_alike_whatever_shares_its_batch(handler: CheckpointHandler[Any]) -> None:
    bodies = [image(150, 90, 1), image(40, 200, 2), image(150, 90, 3), image(1, 1, 4)]
    together = answer(handler, *bodies)
    for body, answered in zip(bodies, together, strict=True):
        [alone] = answer(handler, body)
        assert json.dumps(answered) == json.dumps(alone) or near(answered, alone)


def near(one: dict[str, Any], other: dict[str, Any]) -> bool:
    from statehouse.handlers.golden import compare

    return compare(one, other, 1e-3) == []


def test_what_is_wrong_with_one_is_told_to_it_alone(handler: CheckpointHandler[Any]) -> None:
    good, bad, cut = answer(handler, image(30, 30, 1), b"no image", image(30, 30, 1)[:200])
    assert "detections" in good
    assert (bad["status"], cut["status"]) == (415, 422)


def test_several_rows_and_the_bad_ones_by_number(handler: CheckpointHandler[Any]) -> None:
    row = {"b64": base64.b64encode(image(30, 40, 5)).decode()}
    [answered] = answer(handler, json.dumps({"instances": [row, row]}).encode(), kind="application/json")
    assert len(answered["predictions"]) == 2
    [refused] = answer(
        handler, json.dumps({"instances": [row, {"b64": "%"}, 3]}).encode(), kind="application/json"
    )
    assert refused["rows"] == [1, 2]


def test_the_open_inference_protocol_has_them_filled_up(handler: CheckpointHandler[Any]) -> None:
    tensor = {
        "name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(image(99, 80, 6)).decode()],
    }  # fmt: skip
    [response] = handler.answer([Request(json.dumps({"inputs": [tensor]}).encode(), form="v2")])
    outputs = {each["name"]: each for each in json.loads(response.body)["outputs"]}
    assert outputs["boxes"]["shape"] == [1, 7, 4]
    assert outputs["labels"]["shape"] == outputs["scores"]["shape"] == [1, 7]
    [count] = outputs["count"]["data"]
    assert all(outputs["labels"]["data"][:count])
    assert not any(outputs["labels"]["data"][count:])


def test_answers_fit_the_schema(handler: CheckpointHandler[Any]) -> None:
    import jsonschema

    [answered] = answer(handler, image(64, 64, 7))
    jsonschema.validate(answered, handler.output_schema())


def test_labels_must_be_as_many_as_classes(tmp_path: Path, checkpoint: Checkpoint) -> None:
    fewer = checkpoint.described_as(task=ObjectDetectionTask(labels=LABELS[:2]))
    with pytest.raises(ModuleMismatchError, match="has 3 classes, and the task 2 labels"):
        CheckpointHandler.from_checkpoint(fewer)


def test_a_module_that_is_no_detection_model_is_refused(tmp_path: Path) -> None:
    config = {"num_classes": 2}
    name = "torchvision:lraspp_mobilenet_v3_large"
    path = save_checkpoint(tmp_path / "a.pt", build_model(name, config), architecture=name, config=config)
    wrong = load_checkpoint(path).described_as(task=ObjectDetectionTask(labels=LABELS[:2]))
    with pytest.raises(ModuleMismatchError):
        CheckpointHandler.from_checkpoint(wrong)
