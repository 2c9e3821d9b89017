"""Whether a saved state is of the optimizer that is here: groups, parameters by name, settings, shapes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from statehouse.models.training.optimizer_fit import optimizer_problems

NAMES = [["weight", "bias"]]


def trained(kind=torch.optim.AdamW, size=2, **settings):
    layer = nn.Linear(size, 1)
    optimizer = kind(layer.parameters(), lr=0.1, **settings)
    layer(torch.ones(1, size)).sum().backward()
    optimizer.step()
    return optimizer


def problems(own, saved, here=NAMES, there=NAMES):
    return optimizer_problems(own, copy.deepcopy(saved), here, there)


@pytest.mark.parametrize(
    "kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad, torch.optim.Rprop, torch.optim.Adadelta]
)
def test_its_own_state_fits(kind):
    optimizer = trained(kind)
    assert problems(optimizer, optimizer.state_dict()) == []
    assert problems(optimizer, optimizer.state_dict(), None, None) == []


def test_what_is_no_optimizer_of_torch_is_not_looked_at():
    assert optimizer_problems(object(), {"anything": 1}, None, None) == []


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"param_groups": [], "state": None},
        {"param_groups": {}, "state": {}},
        {"param_groups": [1], "state": {}},
        {"param_groups": [{"params": 1}], "state": {}},
        {"param_groups": [{"params": [[]]}], "state": {}},
    ],
)
def test_what_no_optimizer_says_of_itself(saved):
    assert problems(trained(), saved) == ["optimizer: its state is not what Optimizer.state_dict() returns"]


def test_another_number_of_groups():
    saved = trained().state_dict()
    saved["param_groups"].append(saved["param_groups"][0])
    assert problems(trained(), saved) == ["optimizer: has 1 groups here, 2 in the checkpoint"]


def test_settings_of_another_kind_of_optimizer_are_named():
    saved = trained(torch.optim.SGD, momentum=0.9).state_dict()
    told = problems(trained(), saved)
    assert "optimizer: group 0: setting betas is not in the checkpoint" in told
    assert "optimizer: group 0: setting momentum is in the checkpoint alone" in told


def test_what_a_scheduler_adds_is_no_setting():
    optimizer = trained()
    torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=3)
    saved = optimizer.state_dict()
    assert problems(trained(), {**saved, "param_groups": saved["param_groups"]}) == []


def test_parameters_are_told_apart_by_their_names():
    saved = trained().state_dict()
    assert problems(trained(), saved, there=[["weight", "offset"]]) == [
        "optimizer: group 0: bias is not in the checkpoint's",
        "optimizer: group 0: offset is in the checkpoint's alone",
    ]
    assert problems(trained(), saved, there=[["bias", "weight"]]) == [
        "optimizer: group 0: has the same parameters in another order"
    ]


def test_without_names_their_number_is_compared():
    saved = trained().state_dict()
    saved["param_groups"][0]["params"] = [0]
    expected = ["optimizer: group 0: has 2 parameters here, 1 in the checkpoint"]
    assert problems(trained(), saved, None, None) == expected
    assert problems(trained(), saved, NAMES, []) == expected


def test_shapes_of_what_is_kept_per_element():
    saved = trained(size=3).state_dict()
    assert problems(trained(), saved) == [
        "optimizer: exp_avg of weight is [1, 2] here, [1, 3] in the checkpoint",
        "optimizer: exp_avg_sq of weight is [1, 2] here, [1, 3] in the checkpoint",
    ]
    assert problems(trained(), saved, None, None)[0].startswith("optimizer: exp_avg of parameter 0 is ")


def test_a_parameter_without_a_state_yet_fits():
    saved = trained().state_dict()
    for state in ({}, {0: None}, {0: "no tensors"}):
        assert problems(trained(), {**saved, "state": state}) == []
