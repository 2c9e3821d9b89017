"""The weights of any file, read safely."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from torch import nn

from statehouse.models import read_state_dict
from statehouse.models.errors import CheckpointContentError


def net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.mark.parametrize("form", ["bare", "beside", "whole", "nested", "suffix"])
def test_the_weights_are_those_that_were_saved(tmp_path: Path, form: str) -> None:
    module = net()
    held = {
        "bare": module.state_dict(),
        "beside": {"model": module.state_dict(), "args": argparse.Namespace(lr=0.1)},
        "whole": module,
        "nested": {"state": {"net": nn.DataParallel(module).state_dict()}, "epoch": 3},
        "suffix": module.state_dict(),
    }[form]
    path = tmp_path / ("m.pth" if form != "suffix" else "m.pt")
    torch.save(held, path)
    found = read_state_dict(path)
    assert list(found) == list(module.state_dict())
    net().load_state_dict(found)
    assert all(torch.equal(found[name], tensor) for name, tensor in module.state_dict().items())


def test_of_several_one_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "gan.pt"
    torch.save({"generator": net().state_dict(), "critic": nn.Linear(1, 1).state_dict()}, path)
    with pytest.raises(CheckpointContentError, match="say --from critic"):
        read_state_dict(path)
    assert set(read_state_dict(path, from_key="critic")) == {"weight", "bias"}
    assert set(read_state_dict(path, from_key="generator", ignore=[r"2\..*"])) == {"0.weight", "0.bias"}


def test_what_is_asked_wrongly_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.save(net().state_dict(), path)
    with pytest.raises(CheckpointContentError, match="matches no name"):
        read_state_dict(path, rename=["nothing=x"])
