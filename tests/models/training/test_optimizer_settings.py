"""A run goes on although torch has gained settings, or the GPU is gone; and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from statehouse.models import build_model, resume_training, save_checkpoint
from statehouse.models.errors import ResumeError

CONFIG = {"input_size": 4, "hidden_size": 8, "num_classes": 2}


def model() -> nn.Module:
    return build_model("simple_net", CONFIG)


def step(module: nn.Module, *optimizers: Any) -> None:
    module(torch.ones(3, 4)).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def saved(path: Path, change: dict[str, Any], *without: str) -> None:
    """Write a run of Adam whose groups are changed, as another torch or another device leaves them."""
    module = model()
    optimizer = torch.optim.Adam(module.parameters())
    step(module, optimizer)
    save_checkpoint(path, module, architecture="simple_net", config=CONFIG, optimizer=optimizer, step=1)
    held = torch.load(path, weights_only=True)
    for group in held["optimizer_state_dict"]["param_groups"]:
        group |= change
        for name in without:
            del group[name]
    torch.save(held, path)


def test_a_setting_that_torch_has_gained_gets_its_default(tmp_path: Path) -> None:
    saved(tmp_path / "r.pt", {}, "decoupled_weight_decay", "foreach")
    module = model()
    optimizer = torch.optim.Adam(module.parameters())
    state = resume_training(tmp_path / "r.pt", module, optimizer)
    assert sorted(state.notes) == [
        "optimizer: setting decoupled_weight_decay is newer than the file: False, torch's default",
        "optimizer: setting foreach is newer than the file: None, torch's default",
    ]
    step(module, optimizer)


def test_where_another_value_was_chosen_the_difference_is_told(tmp_path: Path) -> None:
    saved(tmp_path / "r.pt", {}, "amsgrad")
    module = model()
    with pytest.raises(ResumeError, match="setting amsgrad is not in the checkpoint"):
        resume_training(tmp_path / "r.pt", module, torch.optim.Adam(module.parameters(), amsgrad=True))


def test_what_is_for_a_gpu_is_off_on_a_cpu_from_the_first_step(tmp_path: Path) -> None:
    saved(tmp_path / "r.pt", {"capturable": True})
    module = model()
    optimizer = torch.optim.Adam(module.parameters())
    state = resume_training(tmp_path / "r.pt", module, optimizer)
    assert state.notes == ("optimizer: capturable, of a run on a GPU, is off on a CPU",)
    assert optimizer.param_groups[0]["capturable"] is False
    step(module, optimizer)


def test_several_optimizers_go_on_bit_for_bit(tmp_path: Path) -> None:
    def parts(module: nn.Module) -> dict[str, Any]:
        return {
            "first": torch.optim.Adam(module.get_submodule("fc1").parameters()),
            "second": torch.optim.SGD(module.get_submodule("fc2").parameters(), 0.1, momentum=0.9),
        }

    module = model()
    optimizers = parts(module)
    schedulers = [torch.optim.lr_scheduler.StepLR(each, 1) for each in optimizers.values()]
    step(module, *optimizers.values())
    path = tmp_path / "g.pt"
    save_checkpoint(
        path, module, architecture="simple_net", config=CONFIG, optimizer=optimizers, scheduler=schedulers
    )
    again = model()
    other = parts(again)
    resume_training(
        path, again, other, scheduler=[torch.optim.lr_scheduler.StepLR(each, 1) for each in other.values()]
    )
    step(module, *optimizers.values())
    step(again, *other.values())
    expected = module.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())


def test_several_that_are_others_are_told(tmp_path: Path) -> None:
    module = model()
    adam, path = torch.optim.Adam(module.parameters()), tmp_path / "r.pt"
    save_checkpoint(path, module, architecture="simple_net", config=CONFIG, optimizer={"a": adam, "b": adam})
    for given, said in (
        (adam, "is a Adam here, several, a, b, in the checkpoint"),
        ({"a": adam, "c": adam}, "are a, c here, a, b in the checkpoint"),
        (
            {"a": adam, "b": torch.optim.SGD(module.parameters())},
            "optimizer b: is a SGD here, a Adam in the file",
        ),
    ):
        with pytest.raises(ResumeError, match=said):
            resume_training(path, module, given)  # type: ignore[arg-type]


def test_what_has_no_state_is_told(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="optimizer 'b': is a int; expected what has a state_dict"):
        save_checkpoint(
            tmp_path / "r.pt", model(), architecture="simple_net", config=CONFIG,
            optimizer={"a": torch.optim.SGD(model().parameters()), "b": 3},  # type: ignore[dict-item]
        )  # fmt: skip
