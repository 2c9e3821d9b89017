"""What every peer's program shares: the module, and rows made of requests."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import nn

import benchmarks.transformer  # noqa: F401 - registers the architecture
from statehouse.models import load_checkpoint

KIND = os.environ["BENCH_KIND"]
DTYPE = np.int64 if KIND == "tokens" else np.float32


def load_network() -> nn.Module:
    """Return the module in eval mode; one torch thread."""
    torch.set_num_threads(1)
    return load_checkpoint(os.environ["BENCH_CHECKPOINT"], map_location="cpu").build().eval()


def row_of_numbers(numbers: list[float]) -> np.ndarray:
    """One row of a JSON array."""
    return np.array(numbers, DTYPE)


def row_of_bytes(body: bytes) -> np.ndarray:
    """One row of raw numbers, or of a JPEG: decoded and scaled as any tutorial does it."""
    if KIND != "image":
        return np.frombuffer(body, DTYPE)
    from benchmarks.pixels import pixels

    return pixels(body)


def predict(module: nn.Module, rows: np.ndarray) -> np.ndarray:
    """Return the module's outputs (N, classes) of rows (N, …)."""
    with torch.inference_mode():
        outputs: np.ndarray = module(torch.from_numpy(rows)).numpy()
        return outputs


def answer_of(outputs: np.ndarray) -> dict[str, Any]:
    """What is told of one row: its outputs; of an image its label and how sure that is."""
    if KIND != "image":
        return {"outputs": outputs.tolist()}
    shares = np.exp(outputs - outputs.max())
    shares /= shares.sum()
    best = int(shares.argmax())
    return {"label": str(best), "score": float(shares[best])}
