"""Train a small network on named measurements and save a checkpoint that describes itself.

    python examples/train_breast_cancer.py --output checkpoints/breast_cancer.safetensors
    statehouse publish checkpoints/breast_cancer.safetensors --name breast_cancer --version 1.0

The data ships with scikit-learn: 569 tumours, 30 measurements each, malignant or benign.
A quarter of them is held out, never trained on, and gives the accuracy. `--resume` goes on with a run that
was interrupted.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from statehouse.models.architecture import build_model
from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.errors import KeeperError
from statehouse.models.example import Example
from statehouse.models.tasks.registry import NumericFeature, TabularTask
from statehouse.models.training.batch_order import BatchOrder
from statehouse.models.training.keeper import CheckpointKeeper

SPLIT_SEED = 1  # fixed, so that every seed of training is measured on the same held-out rows
TEST_FRACTION = 0.25
EPOCHS = 30
BATCH_SIZE = 32
SAVE_EVERY = 100  # steps
CONFIG = {"input_size": 30, "hidden_sizes": [16], "output_size": 2, "dropout": 0.3}


@dataclass(frozen=True)
class Split:
    """Rows are float64 (N, 30), targets int64 (N,); the indices count in scikit-learn's order."""

    feature_names: list[str]
    labels: list[str]
    train_rows: np.ndarray
    train_targets: np.ndarray
    test_rows: np.ndarray
    test_targets: np.ndarray
    test_indices: np.ndarray

    def row_as_object(self, row: np.ndarray) -> dict[str, float]:
        """Return one row as the endpoint gets it: each measurement by its name."""
        return {name: float(value) for name, value in zip(self.feature_names, row, strict=True)}


def load_split() -> Split:
    """Return the measurements, the same stratified quarter held out every time."""
    data = load_breast_cancer()
    train, test = train_test_split(
        np.arange(len(data.target)), test_size=TEST_FRACTION, stratify=data.target, random_state=SPLIT_SEED
    )
    return Split(
        feature_names=[name.replace(" ", "_") for name in data.feature_names],
        labels=[str(name) for name in data.target_names],
        train_rows=data.data[train],
        train_targets=data.target[train],
        test_rows=data.data[test],
        test_targets=data.target[test],
        test_indices=test,
    )


def describe_task(split: Split) -> TabularTask:
    """Return what the endpoint must do with a row; the scale is the training split's."""
    means, stds = split.train_rows.mean(axis=0), split.train_rows.std(axis=0)
    features = [
        NumericFeature(name=name, mean=float(mean), std=float(std), minimum=0.0)
        for name, mean, std in zip(split.feature_names, means, stds, strict=True)
    ]
    return TabularTask(kind="classification", features=features, labels=split.labels)


def to_tensor(rows: np.ndarray, task: TabularTask) -> Tensor:
    """Return what the endpoint will make of the rows: standardised float32 (N, 30)."""
    means = np.array([feature.mean for feature in task.features])
    stds = np.array([feature.std for feature in task.features])
    return torch.from_numpy((rows - means) / stds).float()


def train(
    model: nn.Module, rows: Tensor, targets: Tensor, seed: int, keeper: CheckpointKeeper, about: dict
) -> None:
    """Train in place, saying the loss every five epochs; goes on where the keeper's last checkpoint stands."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
    order = BatchOrder(len(rows), BATCH_SIZE, seed=seed)
    model.train()
    resumed = keeper.resume(model, optimizer, order=order)
    step = resumed.step if resumed else 0
    print(f"going on after step {step}" if resumed else "training", flush=True)
    while order.epoch < EPOCHS:
        for batch in order:
            loss = nn.functional.cross_entropy(model(rows[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if keeper.is_due(step):
                keeper.save(model, step=step, **about, optimizer=optimizer, order=order, loss=loss)
        if order.epoch % 5 == 0:
            print(f"epoch {order.epoch}/{EPOCHS}  loss {loss.item():.4f}", flush=True)


def measure_accuracy(model: nn.Module, rows: Tensor, targets: Tensor) -> float:
    """Return the fraction of rows that get their label."""
    model.eval()
    with torch.inference_mode():
        return (model(rows).argmax(dim=1) == targets).double().mean().item()


def pick_examples(split: Split) -> list[Example]:
    """Return the first held-out row of each label; the responses are computed when it is published."""
    firsts = [int(np.flatnonzero(split.test_targets == target)[0]) for target in range(len(split.labels))]
    bodies = [json.dumps({"inputs": split.row_as_object(split.test_rows[index])}) for index in firsts]
    return [Example(content_type="application/json", body=body.encode()) for body in bodies]


def main() -> None:
    """Train, measure on the held-out rows, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("checkpoints/breast_cancer.safetensors"))
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
    task = describe_task(split)
    model = build_model("mlp", CONFIG)
    about = {"architecture": "mlp", "config": CONFIG, "task": task}
    rows, targets = to_tensor(split.train_rows, task), torch.from_numpy(split.train_targets)
    train(model, rows, targets, arguments.seed, keeper, about)
    accuracy = measure_accuracy(model, to_tensor(split.test_rows, task), torch.from_numpy(split.test_targets))
    print(f"accuracy {accuracy:.2%} on {len(split.test_targets)} held-out rows")

    save_checkpoint(
        arguments.output,
        model,
        **about,
        examples=pick_examples(split),
        metadata={
            "data_set": "scikit-learn breast cancer (Wisconsin, diagnostic)",
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
