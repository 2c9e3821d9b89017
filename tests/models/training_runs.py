"""A small training run that uses all that is saved: dropout, Adam, a schedule, a scaler, an order, three generators."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn

from statehouse.models import BatchOrder, build_model, save_checkpoint

CONFIG = {"input_size": 4, "hidden_sizes": [8], "output_size": 2, "dropout": 0.3, "normalisation": "batch"}
ROWS = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
TARGETS = (ROWS.sum(dim=1) > 0).long()


@dataclass
class Run:
    """One run; `losses` has one entry per step."""

    step: int = 0
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = build_model("mlp", CONFIG)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr=0.1, total_steps=60)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
        self.order = BatchOrder(len(ROWS), 16, seed=3)

    @property
    def parts(self) -> dict[str, object]:
        return {"scheduler": self.scheduler, "scaler": self.scaler, "order": self.order}

    def train(self, steps: int) -> Run:
        """Take that many steps, over the ends of epochs."""
        while steps > 0:
            for batch in self.order:
                self._take_step(batch)
                steps -= 1
                if steps == 0:
                    break
        return self

    def _take_step(self, batch: list[int]) -> None:
        noise = random.random() * float(numpy.random.rand()) * torch.randn(len(batch), 4)
        loss = nn.functional.cross_entropy(self.model(ROWS[batch] + noise), TARGETS[batch])
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.scheduler.step()
        self.step += 1
        self.losses.append(loss.item())

    def save(self, path: Path) -> Path:
        return save_checkpoint(
            path,
            self.model,
            architecture="mlp",
            config=CONFIG,
            optimizer=self.optimizer,
            **self.parts,
            epoch=self.order.epoch,
            step=self.step,
            loss=self.losses[-1],
            best_metric=min(self.losses),
        )


def seeded_run(seed: int = 1) -> Run:
    """Return a run whose every random number follows from the seed."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed)
    return Run()


def assert_same_run(one: Run, other: Run) -> None:
    """All that a run goes on from is the same, bit for bit."""
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name
    assert one.scheduler.state_dict() == other.scheduler.state_dict()
    assert one.scaler.state_dict() == other.scaler.state_dict()
    assert one.order.state_dict() == other.order.state_dict()
    assert_same_state(one.optimizer.state_dict(), other.optimizer.state_dict())


def assert_same_state(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Of two optimizers."""
    assert one["param_groups"] == other["param_groups"]
    for index, entries in one["state"].items():
        assert all(torch.equal(value, other["state"][index][key]) for key, value in entries.items())
