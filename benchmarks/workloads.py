"""The three loads: what is served, and what is asked of it, the same of every server.

``rows`` are the inputs as the module takes them (images: as they come over the wire); a peer writes its own
requests of them. ``expected`` are the module's outputs for those rows, against which every server is checked.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn

from benchmarks.pixels import SIDE, pixels
from statehouse.models import (
    ImageClassificationTask,
    TensorTask,
    build_model,
    import_architectures,
    save_checkpoint,
)

Form = Literal["json", "binary"]
OWN_ARCHITECTURES = "benchmarks.transformer"
SMALL = {"input_size": 784, "hidden_size": 256, "num_classes": 10}
PHOTO = {"in_channels": 3, "height": SIDE, "width": SIDE, "num_classes": 10, "channels": [16, 32, 32]}
TEXT = {"vocabulary": 8192, "length": 128, "width": 192, "heads": 4, "layers": 2, "num_classes": 10}


@dataclass(frozen=True)
class Workload:
    """A model with its requests. ``kind``: numbers (float32), tokens (int64) or image (JPEG bytes)."""

    name: str
    kind: Literal["numbers", "tokens", "image"]
    checkpoint: Path
    rows: list[Any]
    expected: np.ndarray
    forms: tuple[Form, ...]
    title: str
    optimizations: tuple[str, ...] = ()  # worth showing beside the default

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row as the module takes it."""
        return (3, SIDE, SIDE) if self.kind == "image" else tuple(self.rows[0].shape)


def make(name: str, folder: Path) -> Workload:
    """Write the checkpoint of one workload into ``folder``; weights are random, answers are compared all the same."""
    return _MAKERS[name](folder / f"{name}.pt")


def photographs(count: int = 16) -> list[bytes]:
    """128 x 128 JPEGs cut from scikit-learn's two photographs."""
    rng = np.random.default_rng(0)
    jpegs = []
    for index in range(count):
        image = load_sample_images().images[index % 2]
        top, left = rng.integers(image.shape[0] - 256), rng.integers(image.shape[1] - 256)
        jpeg = io.BytesIO()
        cut = Image.fromarray(image[top : top + 256, left : left + 256])
        cut.resize((SIDE, SIDE)).save(jpeg, "JPEG", quality=90)
        jpegs.append(jpeg.getvalue())
    return jpegs


def _small(file: Path) -> Workload:
    rng = np.random.default_rng(0)
    rows = [np.round(rng.random(784), 4).astype(np.float32) for _ in range(8)]
    module = _save(file, "simple_net", SMALL, TensorTask())
    expected = _answers(module, np.stack(rows))
    return Workload("small", "numbers", file, rows, expected, ("json", "binary"), "784-256-10 network")


def _photo(file: Path) -> Workload:
    labels = [str(number) for number in range(10)]
    task = ImageClassificationTask(
        labels=labels, height=SIDE, width=SIDE, mode="rgb", mean=[0.5] * 3, std=[0.5] * 3
    )
    module = _save(file, "convnet", PHOTO, task)
    rows = photographs()
    expected = _answers(module, np.stack([pixels(jpeg) for jpeg in rows]))
    title = f"convnet on {SIDE} × {SIDE} JPEGs"
    return Workload("photo", "image", file, rows, expected, ("binary",), title)


def _text(file: Path) -> Workload:
    rng = np.random.default_rng(0)
    length = TEXT["length"]
    rows = [rng.integers(0, TEXT["vocabulary"], length) for _ in range(8)]
    module = _save(file, "token_encoder", TEXT, TensorTask(dtype="int64"))
    expected = _answers(module, np.stack(rows))
    title = f"transformer encoder, {length} tokens"
    optimizations = ("bfloat16", "freeze") if torch.cpu.get_capabilities().get("amx_bf16") else ("freeze",)
    return Workload("text", "tokens", file, rows, expected, ("json", "binary"), title, optimizations)


def _save(file: Path, architecture: str, config: dict[str, Any], task: Any) -> nn.Module:  # noqa: ANN401
    import_architectures([OWN_ARCHITECTURES])
    torch.manual_seed(0)
    module = build_model(architecture, config)
    save_checkpoint(file, module, architecture=architecture, config=config, task=task)
    return module.eval()


def _answers(module: nn.Module, rows: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module(torch.from_numpy(rows)).numpy()


_MAKERS: dict[str, Callable[[Path], Workload]] = {"small": _small, "photo": _photo, "text": _text}
