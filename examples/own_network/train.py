"""Train a network of one's own on numbers and categories, and save a checkpoint that describes itself.

    python examples/own_network/train.py --output checkpoints/diabetes.pt

The data ships with scikit-learn: 442 patients, ten measurements each, and how far their diabetes had
progressed a year later. A quarter of them is held out, never trained on, and gives the error.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import my_nets  # noqa: F401 - importing it registers residual_mlp
import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from statehouse.models.architecture import build_model
from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.example import Example
from statehouse.models.tasks.registry import CategoricalFeature, NumericFeature, TabularTask

SPLIT_SEED = 0  # fixed, so that every seed of training is measured on the same held-out patients
TEST_FRACTION = 0.25
EPOCHS = 15
BATCH_SIZE = 32
CONFIG = {"input_size": 11, "width": 16, "output_size": 1, "depth": 2, "dropout": 0.2}
SEXES = ["1", "2"]  # as the data names them

Row = dict[str, float | str]


def load_rows() -> tuple[list[Row], np.ndarray]:
    """Return each patient as the endpoint will get one, and the progression (N,)."""
    data = load_diabetes(scaled=False)
    rows = [
        {
            name: str(int(value)) if name == "sex" else float(value)
            for name, value in zip(data.feature_names, values, strict=True)
        }
        for values in data.data
    ]
    return rows, data.target


def load_split() -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of training and held-out patients, the same every time."""
    train, test = train_test_split(np.arange(442), test_size=TEST_FRACTION, random_state=SPLIT_SEED)
    return train, test


def describe_task(rows: list[Row], targets: np.ndarray) -> TabularTask:
    """Return what the endpoint must do with a row; the scales are those of the rows given."""
    features = [
        CategoricalFeature(name=name, categories=SEXES)
        if name == "sex"
        else NumericFeature(
            name=name,
            mean=float(np.mean([row[name] for row in rows])),
            std=float(np.std([row[name] for row in rows])),
        )
        for name in rows[0]
    ]
    return TabularTask(
        kind="regression",
        features=features,
        target_mean=float(targets.mean()),
        target_std=float(targets.std()),
    )


def to_tensor(rows: list[Row], task: TabularTask) -> Tensor:
    """Return what the endpoint will make of the rows: standardised and one-hot, float32 (N, 11)."""

    def columns(row: Row) -> list[float]:
        values: list[float] = []
        for feature in task.features:
            if isinstance(feature, CategoricalFeature):
                values += [float(row[feature.name] == category) for category in feature.categories]
            else:
                values.append((float(row[feature.name]) - feature.mean) / feature.std)
        return values

    return torch.tensor([columns(row) for row in rows])


def train(model: nn.Module, rows: Tensor, targets: Tensor) -> None:
    """Train in place on standardised targets (N,), saying the loss every five epochs."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
    model.train()
    for epoch in range(1, EPOCHS + 1):
        for batch in torch.randperm(len(rows)).split(BATCH_SIZE):
            loss = nn.functional.mse_loss(model(rows[batch]).squeeze(1), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 5 == 0:
            print(f"epoch {epoch}/{EPOCHS}  loss {loss.item():.4f}", flush=True)


def measure_r_squared(model: nn.Module, task: TabularTask, rows: list[Row], targets: np.ndarray) -> float:
    """Return how much of the targets' variance the network explains, at most 1."""
    model.eval()
    with torch.inference_mode():
        outputs = model(to_tensor(rows, task)).squeeze(1).numpy()
    errors = outputs * task.target_std + task.target_mean - targets
    return 1 - float(np.mean(errors**2) / np.var(targets))


def main() -> None:
    """Train, measure on the held-out patients, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("checkpoints/diabetes.pt"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    rows, progression = load_rows()
    train_indices, test_indices = load_split()
    train_rows, test_rows = [rows[i] for i in train_indices], [rows[i] for i in test_indices]
    task = describe_task(train_rows, progression[train_indices])
    standardised = (progression[train_indices] - task.target_mean) / task.target_std
    model = build_model("residual_mlp", CONFIG)
    train(model, to_tensor(train_rows, task), torch.from_numpy(standardised).float())

    r_squared = measure_r_squared(model, task, test_rows, progression[test_indices])
    print(f"R² {r_squared:.3f} on {len(test_rows)} held-out patients")

    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(
        arguments.output,
        model,
        architecture="residual_mlp",
        config=CONFIG,
        task=task,
        examples=[
            Example(content_type="application/json", body=json.dumps({"inputs": test_rows[0]}).encode())
        ],
        metadata={
            "data_set": "scikit-learn diabetes, as measured",
            "split": f"{TEST_FRACTION:.0%} held out, random_state {SPLIT_SEED}",
            "test_indices": test_indices.tolist(),
            "test_r_squared": r_squared,
            "epochs": EPOCHS,
            "seed": arguments.seed,
        },
    )
    print(f"saved {arguments.output}")


if __name__ == "__main__":
    main()
