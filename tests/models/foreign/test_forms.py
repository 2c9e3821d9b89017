from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from statehouse.models.errors import CheckpointContentError
from statehouse.models.foreign.forms import take_apart

PATH = Path("x.pt")
TENSORS = {"module.a": torch.ones(1)}


@pytest.mark.parametrize(
    ("held", "form", "fields"),
    [
        (OrderedDict(TENSORS), "bare", {}),
        ({"model": TENSORS, "optimizer": {"state": {}}, "args": "anything"}, "model", {}),
        (
            {"state_dict": TENSORS, "hyper_parameters": {"width": 3}, "callbacks": {1: 2}},
            "state_dict",
            {"model_config": {"width": 3}},
        ),
        (
            {"model_state_dict": TENSORS, "model_config": {"width": 3}, "metadata": {"accuracy": 0.9}},
            "model_state_dict",
            {"model_config": {"width": 3}, "metadata": {"accuracy": 0.9}},
        ),
        (
            {"model_state_dict": TENSORS, "metadata": {"best": torch.ones(1)}, "task": 3},
            "model_state_dict",
            {},
        ),
        (
            {"model_state_dict": TENSORS, "metadata": {"format_version": 1}, "odd": 1, "epoch": 3},
            "statehouse",
            {"metadata": {"format_version": 1}, "odd": 1},
        ),
    ],
)
def test_each_form_is_recognised(held, form, fields):
    parts = take_apart(PATH, held)
    assert parts.form == form
    assert parts.fields == fields
    assert list(parts.state_dict) == ["a"]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([1, 2], "holds a list; expected {'model_state_dict': {…}}"),
        ({}, r"holds a dict with keys \[\]"),
        ({"weights": "a name", "n": 1}, r"holds a dict with keys \['weights', 'n'\]"),
        ({"model_state_dict": {}}, "it is empty"),
        (
            {"model_state_dict": {"a": 1, 2: torch.ones(1)}},
            r"'a': a int; expected a name, as Unicode text, and a tensor\n  2: a Ten",
        ),
        ({"model_state_dict": {"a\ud800": torch.ones(1)}}, r"'a\\ud800': a Tensor; expected a name, as Uni"),
    ],
)
def test_anything_else_says_what_it_is(held, expected):
    with pytest.raises(CheckpointContentError, match=expected):
        take_apart(PATH, held)


def test_the_loss_that_a_tutorial_saves_as_a_tensor_is_a_number():
    loss = torch.tensor(0.5, requires_grad=True)
    parts = take_apart(PATH, {"model_state_dict": TENSORS, "loss": loss, "epoch": 3})
    assert parts.training.loss == 0.5
    assert parts.training.epoch == 3


@pytest.mark.parametrize("loss", [10**400, torch.tensor(1j), torch.ones(2), "low"])
def test_a_loss_that_is_no_real_number_is_left_out(loss):
    parts = take_apart(PATH, {"model_state_dict": TENSORS, "loss": loss, "epoch": 3})
    assert parts.training.loss is None
    assert parts.training.epoch == 3
