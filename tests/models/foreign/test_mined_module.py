"""Whole modules are read without their classes: the same names and tensors as their state_dict, in its order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from statehouse.models.foreign.mined_module import is_module, mine_module, mine_modules
from statehouse.models.storage.inert.record import Record


class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width, self.activation = width, "relu"
        self.body = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))
        self.head = nn.Linear(width, 2, bias=False)
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.register_buffer("kept", torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def recorded(module: nn.Module) -> Record:
    """The record that the reader makes of a pickled module."""
    state = dict(vars(module))
    state["_modules"] = {
        name: recorded(child) for name, child in module._modules.items() if child is not None
    }
    kind = type(module)
    return Record(f"{kind.__module__}.{kind.__qualname__}", state=state)


def test_its_state_dict_has_the_names_and_the_order_of_torchs() -> None:
    module = Net()
    mined = mine_module(recorded(module))
    expected = module.state_dict()
    assert list(mined.state_dict) == list(expected)
    assert all(torch.equal(mined.state_dict[name], expected[name]) for name in expected)
    assert mined.tree["body.0"] == "torch.nn.modules.linear.Linear(in_features=4, out_features=8)"
    assert mined.tree[""].endswith("Net(width=8, activation='relu')")
    assert mined.note("model").endswith("Net: its tensors are read, its class is not")


def test_of_a_convolution_its_sides_are_shown() -> None:
    shown = mine_module(recorded(nn.Conv2d(3, 4, (3, 5)))).tree[""]
    assert "in_channels=3, out_channels=4, kernel_size=(3, 5), stride=(1, 1)" in shown


def test_modules_are_found_wherever_trainers_put_them() -> None:
    net, loss = recorded(Net()), recorded(nn.CrossEntropyLoss())
    held, found = mine_modules({"model": net, "ema": None, "criterion": loss, "pair": (1, net)})
    assert isinstance(held, dict)
    assert set(found) == {"model", "pair.1"}
    assert held["criterion"] is loss  # has no tensors: nothing to be mined
    assert set(held["model"]) == set(Net().state_dict())
    assert mine_modules(net)[1].keys() == {""}


def test_what_is_no_module_stays_as_it_is() -> None:
    held: dict[str, Any] = {"args": Record("argparse.Namespace", state={"lr": 0.1}), "w": torch.ones(1)}
    assert mine_modules(held) == (held, {})
    assert not is_module(Record("x.Y", state={"_modules": {}, "_parameters": None, "_buffers": {}}))
    assert not is_module({"_modules": {}, "_parameters": {}, "_buffers": {}})


def test_a_tree_that_refers_to_itself_ends() -> None:
    record = recorded(nn.Linear(1, 1))
    record.attributes()["_modules"]["again"] = record  # type: ignore[index]
    assert len(mine_module(record).tree) < 100
