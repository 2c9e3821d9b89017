"""What cannot be served is named, with what to save instead."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from statehouse.models import build_model, load_checkpoint
from statehouse.models.errors import CheckpointContentError
from statehouse.models.storage.inert.record import Record
from statehouse.models.storage.plainness import quantised, unserved

CONFIG = {"input_size": 4, "hidden_size": 8, "num_classes": 2}
ODD = {
    "quantised": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
    "sparse": lambda tensor: tensor.to_sparse(),
    "compressed": lambda tensor: tensor.to_sparse_csr(),
    "meta": lambda tensor: tensor.to("meta"),
    "nested": lambda tensor: torch.nested.nested_tensor([tensor[0], tensor[0, :2]]),
}
WORDS = {
    "quantised": "a quantised tensor (torch.qint8); save tensor.dequantize()",
    "sparse": "a sparse tensor (torch.sparse_coo); save tensor.to_dense()",
    "compressed": "a sparse tensor (torch.sparse_csr); save tensor.to_dense()",
    "meta": "on the meta device",
    "nested": "a nested tensor",
}


def problems_of(state_dict: dict[str, Any], folder: Path) -> list[str]:
    torch.save({"model_state_dict": state_dict, "model_config": CONFIG}, folder / "f.pt")
    with pytest.raises(CheckpointContentError) as caught:
        load_checkpoint(folder / "f.pt", architecture="simple_net")
    return caught.value.problems


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.filterwarnings("ignore")
def test_a_weight_that_is_odd_is_named_with_what_to_save(kind: str, tmp_path: Path) -> None:
    net = build_model("simple_net", CONFIG)
    state_dict = net.state_dict() | {"fc1.weight": ODD[kind](net.fc1.weight.detach())}
    problems = problems_of(state_dict, tmp_path)
    assert problems[0].startswith(f"'fc1.weight': {WORDS[kind]}")


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.filterwarnings("ignore")
def test_beside_the_weights_it_is_left_out(kind: str, tmp_path: Path) -> None:
    net = build_model("simple_net", CONFIG)
    odd = ODD[kind](torch.eye(3))
    torch.save({"model_state_dict": net.state_dict(), "model_config": CONFIG, "adj": odd}, tmp_path / "f.pt")
    checkpoint = load_checkpoint(tmp_path / "f.pt", architecture="simple_net")
    assert any("adj" in note for note in checkpoint.header.notes)


def test_of_one_kind_there_is_one_line() -> None:
    tensors = {f"w{index}\x1b": torch.ones(2, device="meta") for index in range(500)}
    (line,) = unserved(tensors)
    assert line.startswith(r"'w0\x1b', 'w1\x1b', 'w2\x1b' and 497 more: on the meta device")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(2),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2).to(torch.float8_e4m3fn),
        torch.empty(0),
    ],
)
def test_plain_tensors_are_let_through(tensor: torch.Tensor) -> None:
    assert unserved({"w": tensor}) == []
    assert quantised({"w": tensor, "x": (tensor, None), "y._packed_params": tensor}) == []


def test_layers_that_torch_ao_has_quantised_are_named(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = torch.ao.quantization.quantize_dynamic(
            build_model("simple_net", CONFIG), {nn.Linear}, dtype=torch.qint8
        )
        problems = problems_of(net.state_dict(), tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith(
        "'fc1._packed_params._packed_params', 'fc2._packed_params._packed_params': "
    )
    assert "quantised by torch.ao" in problems[0]


def test_tensors_of_torchao_are_named() -> None:
    records = {f"fc{index}.weight": Record("torchao.quantization.Int8Tensor") for index in (1, 2)}
    (line,) = quantised({"model_state_dict": records | {"fc1.bias": torch.ones(2)}})
    assert line.startswith(
        "'fc1.weight', 'fc2.weight': quantised by torchao (Int8Tensor); before saving: for each in"
    )
    assert quantised({"a": Record("mine.Int8Tensor"), "b": [Record("torchao.X")], "c": 3}) == []
