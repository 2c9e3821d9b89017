"""Train a small convolutional network on handwritten digits and save a checkpoint that describes itself.

    python examples/train_digits.py --output checkpoints/digits.pt
    python examples/train_digits.py --output checkpoints/digits.pt --resume    # after it was interrupted
    statehouse publish checkpoints/digits.pt --name digits --version 1.0

The data ships with scikit-learn: 1,797 scans of 8 x 8 pixels, light ink on a dark ground.
A quarter of them is held out, never trained on, and gives the accuracy.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from statehouse.models.architecture import build_model
from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.errors import KeeperError
from statehouse.models.example import Example
from statehouse.models.tasks.registry import ImageClassificationTask
from statehouse.models.training.batch_order import BatchOrder
from statehouse.models.training.keeper import CheckpointKeeper

SPLIT_SEED = 0  # fixed, so that every seed of training is measured on the same held-out digits
TEST_FRACTION = 0.25
EPOCHS = 15
BATCH_SIZE = 64
SAVE_EVERY = 50  # steps
CONFIG = {"in_channels": 1, "height": 8, "width": 8, "num_classes": 10, "channels": [32, 64], "dropout": 0.2}


@dataclass(frozen=True)
class Split:
    """Pixels are uint8 (N, 8, 8), labels int64 (N,); the indices count in scikit-learn's order."""

    train_pixels: np.ndarray
    train_labels: np.ndarray
    test_pixels: np.ndarray
    test_labels: np.ndarray
    test_indices: np.ndarray


def load_split() -> Split:
    """Return the digits as 8-bit grey pixels, the same stratified quarter held out every time."""
    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)
    train, test = train_test_split(
        np.arange(len(pixels)), test_size=TEST_FRACTION, stratify=digits.target, random_state=SPLIT_SEED
    )
    return Split(pixels[train], digits.target[train], pixels[test], digits.target[test], test)


def to_png(pixels: np.ndarray) -> bytes:
    """Return one digit (8, 8) as a PNG, the form in which the endpoint gets it."""
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    return png.getvalue()


def describe_task(train_pixels: np.ndarray) -> ImageClassificationTask:
    """Return what the endpoint must do with an image; the scale is the training split's."""
    scaled = train_pixels / 255
    return ImageClassificationTask(
        labels=[str(digit) for digit in range(10)],
        height=8,
        width=8,
        mode="greyscale",
        mean=[round(float(scaled.mean()), 6)],
        std=[round(float(scaled.std()), 6)],
    )


def to_tensor(pixels: np.ndarray, task: ImageClassificationTask) -> Tensor:
    """Return what the endpoint will make of the pixels: float32 (N, 1, 8, 8)."""
    scaled = torch.from_numpy(pixels).float().div(255).unsqueeze(1)
    return (scaled - task.mean[0]) / task.std[0]


def train(
    model: nn.Module, images: Tensor, labels: Tensor, seed: int, keeper: CheckpointKeeper, about: dict
) -> None:
    """Train in place, saying the loss every five epochs; goes on where the keeper's last checkpoint stands."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    order = BatchOrder(len(images), BATCH_SIZE, seed=seed)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=EPOCHS * len(order))
    model.train()
    resumed = keeper.resume(model, optimizer, scheduler=scheduler, order=order)
    step = resumed.step if resumed else 0
    print(f"going on after step {step}" if resumed else "training", flush=True)
    while order.epoch < EPOCHS:
        for batch in order:
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            step += 1
            if keeper.is_due(step):
                state = {"optimizer": optimizer, "scheduler": scheduler, "order": order, "loss": loss}
                keeper.save(model, step=step, **about, **state)
        if order.epoch % 5 == 0:
            print(f"epoch {order.epoch}/{EPOCHS}  loss {loss.item():.4f}", flush=True)


def measure_accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the fraction of images that get their label."""
    model.eval()
    with torch.inference_mode():
        return (model(images).argmax(dim=1) == labels).double().mean().item()


def pick_examples(split: Split) -> list[Example]:
    """Return the first held-out scan of each digit; the responses are computed when it is published."""
    firsts = [int(np.flatnonzero(split.test_labels == digit)[0]) for digit in range(10)]
    return [Example(content_type="image/png", body=to_png(split.test_pixels[index])) for index in firsts]


def main() -> None:
    """Train, measure on the held-out digits, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("checkpoints/digits.pt"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on with a run that was interrupted")
    arguments = parser.parse_args()
    try:  # beside the output, until that is there
        keeper = CheckpointKeeper(
            arguments.output.with_suffix(".run"), every=SAVE_EVERY, resume=arguments.resume
        )
    except KeeperError as error:
        parser.error(str(error))

    torch.manual_seed(arguments.seed)
    split = load_split()
    task = describe_task(split.train_pixels)
    model = build_model("convnet", CONFIG)
    about = {"architecture": "convnet", "config": CONFIG, "task": task}
    images, labels = to_tensor(split.train_pixels, task), torch.from_numpy(split.train_labels)
    train(model, images, labels, arguments.seed, keeper, about)
    accuracy = measure_accuracy(
        model, to_tensor(split.test_pixels, task), torch.from_numpy(split.test_labels)
    )
    print(f"accuracy {accuracy:.2%} on {len(split.test_labels)} held-out digits")

    save_checkpoint(
        arguments.output,
        model,
        **about,
        examples=pick_examples(split),
        metadata={
            "data_set": "scikit-learn digits, 8-bit grey: value * 255 / 16",
            "split": f"stratified, {TEST_FRACTION:.0%} held out, random_state {SPLIT_SEED}",
            "test_indices": split.test_indices.tolist(),
            "test_accuracy": accuracy,
            "epochs": EPOCHS,
            "seed": arguments.seed,
        },
    )
    keeper.clear()
    print(f"saved {arguments.output}")


if __name__ == "__main__":
    main()
