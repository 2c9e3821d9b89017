"""Image segmentation: a mask in the image's own size, as PNG or runs, whatever shares its batch."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.golden import compare
from statehouse.handlers.images.masks import read_mask, write_mask
from statehouse.handlers.request import Request
from statehouse.models import ImageSegmentationTask, build_model, load_checkpoint, save_checkpoint
from statehouse.models.checkpoint import Checkpoint

ARCHITECTURE = "torchvision:lraspp_mobilenet_v3_large"
LABELS = ["background", "cat", "dog", "sky"]
SIZES = [(150, 90), (40, 70), (150, 90)]


def image(width: int, height: int, seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Weights such that every class is somewhere: scaled up, and with no class ahead of the others."""
    torch.manual_seed(3)
    model = build_model(ARCHITECTURE, {"num_classes": len(LABELS)})
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
    path = tmp_path_factory.mktemp("segmentation") / "a.safetensors"
    task = ImageSegmentationTask(labels=LABELS, resize=96)
    save_checkpoint(path, model, architecture=ARCHITECTURE, config={"num_classes": len(LABELS)}, task=task)
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def handler(checkpoint: Checkpoint) -> CheckpointHandler[Any]:
    return CheckpointHandler.from_checkpoint(checkpoint)


def answer(handler: CheckpointHandler[Any], *bodies: bytes) -> list[Any]:
    return [
        json.loads(response.body) for response in handler.answer([Request(b, "image/png") for b in bodies])
    ]


def own_mask(checkpoint: Checkpoint, body: bytes) -> np.ndarray[Any, Any]:
    """By torchvision's own preset and module, at the image's size."""
    from statehouse.models.libraries.torchvision import torchvision

    picture = Image.open(io.BytesIO(body))
    preset = torchvision.transforms._presets.SemanticSegmentation(resize_size=96)
    with torch.inference_mode():
        logits = checkpoint.build()(preset(picture)[None])["out"]
    full = interpolate(logits, picture.size[::-1], mode="bilinear", align_corners=False)
    return full[0].argmax(0).numpy()


def test_masks_are_the_librarys_own(handler: CheckpointHandler[Any], checkpoint: Checkpoint) -> None:
    bodies = [image(*size, seed) for seed, size in enumerate(SIZES)]
    for body, (width, height), answered in zip(bodies, SIZES, answer(handler, *bodies), strict=True):
        mask, own = read_mask(answered), own_mask(checkpoint, body)
        assert mask.shape == (answered["height"], answered["width"]) == (height, width)
        assert (mask != own).mean() <= 1e-3  # where two classes tie
        counts = {each["label"]: each["pixels"] for each in answered["classes"]}
        assert counts == {LABELS[number]: int((mask == number).sum()) for number in np.unique(mask)}
        assert len(counts) > 1


def test_runs_say_what_the_png_says(checkpoint: Checkpoint, handler: CheckpointHandler[Any]) -> None:
    task = checkpoint.header.task.model_copy(update={"mask": "run_length"})
    runs = CheckpointHandler.from_checkpoint(checkpoint.described_as(task=task))
    [one], [other] = answer(handler, image(50, 40, 1)), answer(runs, image(50, 40, 1))
    assert (read_mask(one) == read_mask(other)).all()
    assert sum(pixels for _, pixels in other["mask"]["runs"]) == 50 * 40
    import jsonschema

    jsonschema.validate(one, handler.output_schema())
    jsonschema.validate(other, runs.output_schema())


@pytest.mark.parametrize("form", ["png", "run_length"])
def test_masks_come_back_as_they_were(form: str) -> None:
    mask = np.random.default_rng(0).integers(0, 256, (7, 11), dtype=np.uint8)
    text = write_mask(mask, form)
    written = {"png_b64": text} if form == "png" else {"runs": json.loads(text)}
    assert (read_mask({"height": 7, "width": 11, "mask": written}) == mask).all()


def test_what_is_wrong_with_one_is_told_to_it_alone(handler: CheckpointHandler[Any]) -> None:
    good, bad = answer(handler, image(30, 30, 1), b"no image")
    assert "mask" in good
    assert bad["status"] == 415


def test_a_very_long_image_is_refused_before_it_is_resized(handler: CheckpointHandler[Any]) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (30_000, 2)).save(buffer, "PNG")
    [refused] = answer(handler, buffer.getvalue())
    assert refused["status"] == 413


def test_labels_must_be_as_many_as_classes(checkpoint: Checkpoint) -> None:
    fewer = checkpoint.described_as(task=ImageSegmentationTask(labels=LABELS[:3]))
    with pytest.raises(ModuleMismatchError, match="has 4 classes, and the task 3 labels"):
        CheckpointHandler.from_checkpoint(fewer)


def test_golden_masks_may_differ_where_classes_tie_and_nowhere_else(handler: CheckpointHandler[Any]) -> None:
    [expected] = answer(handler, image(50, 40, 1))
    mask = read_mask(expected).copy()
    mask[0, 0] ^= 1
    one_off = {**expected, "mask": {"png_b64": write_mask(mask, "png")}}
    assert compare(expected, one_off, 1e-3) == []
    assert compare(expected, one_off, 1e-4) == ["$.mask: 1 of 2000 pixels are of another class"]
    assert compare(expected, answer(handler, image(51, 40, 1))[0], 1e-3)
