"""Object detection and image segmentation over HTTP: a published model of torchvision's answers as the library does."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from openapi_spec_validator import validate
from PIL import Image
from tests.e2e.server import Server
from torch.nn.functional import interpolate

from statehouse.handlers.images.masks import read_mask
from statehouse.models import (
    ImageSegmentationTask,
    ObjectDetectionTask,
    build_model,
    load_checkpoint,
    save_checkpoint,
)

DETECTOR = "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn"
DETECTOR_CONFIG = {
    "num_classes": 3, "min_size": 160, "max_size": 224, "box_score_thresh": 0.0, "rpn_post_nms_top_n_test": 50,
}  # fmt: skip
SEGMENTER = "torchvision:lraspp_mobilenet_v3_large"
OBJECTS = ["__background__", "cat", "cup"]
PARTS = ["background", "cat", "cup", "sky"]
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg", "camera.png")
TOLERANCE = 1e-4
THRESHOLD = 0.345  # no score of these is near it


def photograph(name: str) -> bytes:
    return (Path(str(files("skimage"))) / "data" / name).read_bytes()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights, always the same, with what random ones lack: features that vary, classes that differ."""
    folder = tmp_path_factory.mktemp("vision")
    torch.manual_seed(0)
    photo = torch.from_numpy(pixels_of("coffee.png", 4) - 0.5)[None].repeat(2, 1, 1, 1)
    detector = build_model(DETECTOR, DETECTOR_CONFIG)
    segmenter = build_model(SEGMENTER, {"num_classes": len(PARTS)})
    with torch.no_grad():
        for part in (detector.backbone, segmenter):
            part.train()
            for _ in range(30):  # the statistics of their norms
                part(photo)
        detector.roi_heads.box_predictor.cls_score.weight.mul_(100)
        classifier = segmenter.eval().classifier
        for part in (classifier.low_classifier, classifier.high_classifier):
            part.weight.mul_(100)
        classifier.high_classifier.bias -= segmenter(photo)["out"].mean((0, 2, 3))
    save_checkpoint(
        folder / "detector.pt", detector, architecture=DETECTOR, config=DETECTOR_CONFIG,
        task=ObjectDetectionTask(labels=OBJECTS, score_threshold=THRESHOLD, max_detections=20),
    )  # fmt: skip
    save_checkpoint(
        folder / "segmenter.safetensors", segmenter, architecture=SEGMENTER, config={"num_classes": len(PARTS)},
        task=ImageSegmentationTask(labels=PARTS, resize=160),
    )  # fmt: skip
    return {path.stem: path for path in folder.iterdir()}


def pixels_of(name: str, step: int = 1) -> np.ndarray[Any, Any]:
    image = np.asarray(Image.open(io.BytesIO(photograph(name))).convert("RGB"), np.float32)
    return image[::step, ::step].transpose(2, 0, 1) / 255


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("vision_server"))
    photo = server.folder / "photo.png"
    photo.write_bytes(photograph("coffee.png"))
    for name, file in checkpoints.items():
        server.run("publish", str(file), "--name", name, "--version", "1.0", "--example", str(photo))
    one = {"default": "1.0", "versions": {"1.0": {"batch_size": 4}}}
    server.write_deployment(models=dict.fromkeys(checkpoints, one))
    server.start()
    yield server
    server.kill_if_running()


def test_detections_are_the_librarys_own(server: Server, checkpoints: dict[str, Path]) -> None:
    module = load_checkpoint(checkpoints["detector"]).build()
    found = 0
    for photo in PHOTOGRAPHS:
        with torch.inference_mode():
            [own] = module([torch.from_numpy(pixels_of(photo))])
        chosen = [place for place in range(len(own["scores"])) if own["scores"][place] >= THRESHOLD][:20]
        answer = server.client.post("/predictions/detector", content=photograph(photo)).json()
        assert len(answer["detections"]) == len(chosen), photo
        for each, place in zip(answer["detections"], chosen, strict=True):
            assert each["label"] == OBJECTS[own["labels"][place]]
            assert each["score"] == pytest.approx(float(own["scores"][place]), abs=TOLERANCE)
            assert each["box"] == pytest.approx(own["boxes"][place].tolist(), rel=TOLERANCE, abs=1e-2)
        found += len(chosen)
    assert found > len(PHOTOGRAPHS)


def test_masks_are_the_librarys_own(server: Server, checkpoints: dict[str, Path]) -> None:
    from statehouse.models.libraries.torchvision import torchvision

    module = load_checkpoint(checkpoints["segmenter"]).build()
    preset = torchvision.transforms._presets.SemanticSegmentation(resize_size=160)
    classes = set()
    for photo in PHOTOGRAPHS:
        image = Image.open(io.BytesIO(photograph(photo))).convert("RGB")
        with torch.inference_mode():
            logits = module(preset(image)[None])["out"]
        own = interpolate(logits, image.size[::-1], mode="bilinear", align_corners=False)[0].argmax(0).numpy()
        mask = read_mask(server.client.post("/predictions/segmenter", content=photograph(photo)).json())
        assert mask.shape == own.shape
        assert (mask != own).mean() <= 1e-3, photo  # where two classes tie
        classes |= set(np.unique(mask).tolist())
    assert len(classes) > 1


@pytest.mark.parametrize(("name", "member"), [("detector", "detections"), ("segmenter", "mask")])
def test_images_come_in_every_form_and_bad_ones_are_told_alone(
    server: Server, name: str, member: str
) -> None:
    body = photograph("chelsea.png")
    row = {"b64": base64.b64encode(body).decode()}
    path = f"/predictions/{name}"
    raw = server.client.post(path, content=body)
    uploaded = server.client.post(path, files={"image": ("chelsea.png", body, "image/png")})
    one = server.client.post(path, json={"inputs": row})
    several = server.client.post(path, json={"instances": [row, row]})
    assert {each.status_code for each in (raw, uploaded, one, several)} == {200}
    assert raw.json().keys() == uploaded.json().keys() == one.json().keys()
    assert len(several.json()["predictions"]) == 2
    assert member in raw.json()
    refused = server.client.post(path, json={"instances": [row, {"b64": "AAAA"}]})
    assert (refused.status_code, refused.json()["rows"]) == (422, [1])
    assert server.client.post(path, content=body[:5000]).status_code == 422


def test_the_description_of_the_interface_fits_the_answers(server: Server) -> None:
    document = server.reader.get("/openapi.json").json()
    validate(document)
    for name in ("detector", "segmenter"):
        content = document["paths"][f"/predictions/{name}"]["post"]["requestBody"]["content"]
        assert {"application/json", "image/png", "image/jpeg", "multipart/form-data"} <= set(content)
        answer = server.client.post(f"/predictions/{name}", content=photograph("rocket.jpg")).json()
        jsonschema.validate(answer, document["components"]["schemas"][f"{name}-1.0-answer"])


def test_the_open_inference_protocol_answers_too(server: Server) -> None:
    tensor = {
        "name": "image", "datatype": "BYTES", "shape": [1],
        "data": [base64.b64encode(photograph("coffee.png")).decode()],
    }  # fmt: skip
    for name, expected in (
        ("detector", {"boxes", "labels", "scores", "count"}),
        ("segmenter", {"mask", "size", "pixels"}),
    ):
        answer = server.client.post(f"/v2/models/{name}/infer", json={"inputs": [tensor]}).json()
        assert {each["name"] for each in answer["outputs"]} == expected
