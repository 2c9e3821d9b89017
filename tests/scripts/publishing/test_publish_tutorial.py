"""The six ways in which PyTorch's tutorial saves a model publish alike, with the architecture and the task alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from statehouse.models.building import build_model
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

CONFIG = {"input_size": 4, "hidden_size": 8, "num_classes": 2}


class SimpleNet(nn.Module):
    """The tutorial's own class, which is gone when the file is read."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.relu, self.fc2 = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.relu(self.fc1(x)))


def saved() -> dict[str, Any]:
    net = SimpleNet()
    net.load_state_dict(build_model("simple_net", CONFIG).state_dict())
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    training = {"model_state_dict": net.state_dict(), "optimizer_state_dict": optimizer.state_dict()}
    return {
        "whole module": net,
        "state_dict": net.state_dict(),
        "checkpoint": {**training, "epoch": 3, "loss": torch.tensor(0.25)},
        "two keys": {"model": net.state_dict(), "optimizer": optimizer.state_dict()},
        "inference": {"model_state_dict": net.state_dict(), "model_config": CONFIG},
        "versioned": {
            "model_state_dict": net.state_dict(),
            "metadata": {"pytorch_version": torch.__version__, "version": "1.2.0"},
            "model_config": CONFIG,
        },
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tutorial")
    torch.manual_seed(0)
    files = {}
    for name, held in saved().items():
        files[name] = folder / f"{name}.pth"
        torch.save(held, files[name])
    return files


def test_all_six_are_one_version(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(__import__("sys").modules[__name__], "SimpleNet")
    digests = set()
    for number, path in enumerate(files.values()):
        published = publish(
            path,
            name="six",
            version=f"1.{number}",
            store=LocalStore(tmp_path / "store"),
            architecture="simple_net",
            task="tensor",
        )
        digests.add(published.version.manifest.digest)
    assert len(files) == 6
    assert len(digests) == 1
