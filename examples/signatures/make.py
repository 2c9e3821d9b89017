"""Writes a checkpoint of each module in nets.py, with its signature. Their weights are as they begin, untrained.

python examples/signatures/make.py
cd examples/signatures
statehouse publish checkpoints/series.pt --name series --version 1.0 --architectures nets
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

import nets

from statehouse import SignatureTask, build_model, save_checkpoint

PHOTO = {
    "kind": "image",
    "height": 32,
    "width": 32,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
SIGNATURES: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "skin": (
        "photo_and_patient",
        {"features": 3, "classes": 2},
        {
            "photo": PHOTO,
            "patient": {
                "kind": "features",
                "features": [
                    {"type": "numeric", "name": "age", "mean": 50.0, "std": 18.0, "minimum": 0.0},
                    {"type": "categorical", "name": "smokes", "categories": ["no", "yes"]},
                ],
            },
        },
        {"risk": {"kind": "labels", "labels": ["low", "high"]}, "vector": {"kind": "embedding"}},
    ),
    "series": (
        "series_net",
        {"channels": 2, "classes": 3},
        {"series": {"kind": "tensor", "shape": ["steps", 2], "pad": {"length": "length"}}},
        {
            "kind": {"kind": "labels", "labels": ["walk", "run", "rest"], "source": "0"},
            "states": {"kind": "tensor", "shape": ["steps", 16], "source": "1"},
        },
    ),
    "scene": (
        "scene_tagger",
        {"classes": 3},
        {"photo": PHOTO},
        {"tags": {"kind": "labels", "labels": ["sky", "sea", "tree"], "multi": True}},
    ),
    "redraw": (
        "autoencoder",
        {},
        {"picture": {"kind": "image", "height": 16, "width": 16, "mode": "greyscale"}},
        {"redrawn": {"kind": "image"}},
    ),
    "words": (
        "sound_net",
        {"samples": 400, "words": 2},
        {"sound": {"kind": "waveform", "samples": 400}},
        {"word": {"kind": "labels", "labels": ["yes", "no"]}},
    ),
    "houses": (
        "two_heads",
        {"size": 4},
        {"house": {"kind": "tensor", "shape": [4], "minimum": 0.0}},
        {
            "price": {"kind": "value", "mean": 210000.0, "std": 90000.0, "source": "heads.price"},
            "sells": {"kind": "labels", "labels": ["no", "yes"], "source": "heads.sells"},
        },
    ),
}


def make(folder: Path) -> list[Path]:
    """Write the checkpoints into `folder`, always the same ones; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    paths = []
    for name, (architecture, config, inputs, outputs) in SIGNATURES.items():
        task = SignatureTask(inputs=inputs, outputs=outputs)
        module = build_model(architecture, config)
        paths.append(
            save_checkpoint(
                folder / f"{name}.pt", module, architecture=architecture, config=config, task=task
            )
        )
    return paths


if __name__ == "__main__":
    for path in make(Path(nets.__file__).parent / "checkpoints"):
        print(path)
