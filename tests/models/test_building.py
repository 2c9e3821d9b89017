from __future__ import annotations

import pytest
import torch
from torch import nn

from statehouse.models.architecture import build_model, register_architecture
from statehouse.models.building import build_for_serving, build_without_values, non_finite_parameters
from statehouse.models.errors import ArchitectureError, StateDictError

CPU = torch.device("cpu")


@register_architecture("test_buffers")
class Buffers(nn.Module):
    """Two names tied before registration, and a buffer that is in no state_dict."""

    def __init__(self, width: int) -> None:
        super().__init__()
        shared = nn.Parameter(torch.randn(width))
        self.first, self.second = nn.Module(), nn.Module()
        self.first.weight = shared
        self.second.weight = shared
        self.register_buffer("positions", torch.arange(width), persistent=False)
        self.register_buffer("mask", torch.full((width,), -torch.inf))
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x):
        return self.norm(x * self.first.weight + self.second.weight + self.positions)


@register_architecture("test_computed_buffer")
class ComputedBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("scale", self.weight.detach() * 2, persistent=False)


def test_without_values_parameters_are_on_meta_and_buffers_real():
    module = build_without_values("test_buffers", {"width": 3})
    assert all(parameter.is_meta for parameter in module.parameters())
    assert module.first.weight is module.second.weight
    assert module.positions.tolist() == [0, 1, 2]
    assert module.norm.running_var.tolist() == [1, 1, 1]


def test_building_normally_is_as_ever_afterwards():
    build_without_values("test_buffers", {"width": 3})
    assert not any(parameter.is_meta for parameter in build_model("test_buffers", {"width": 3}).parameters())


def test_the_built_module_answers_as_the_saved_one():
    saved = build_model("test_buffers", {"width": 3}).eval()
    state_dict = saved.state_dict()
    module, report = build_for_serving("test_buffers", {"width": 3}, state_dict, device=CPU)
    rows = torch.randn(4, 3)
    assert report.ok
    assert torch.equal(module(rows), saved(rows))
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    assert module.first.weight is module.second.weight
    assert module.first.weight.data_ptr() == state_dict["first.weight"].data_ptr(), "assigned, not copied"


def test_strict_refuses_and_not_strict_reports_what_stayed():
    state_dict = build_model("test_buffers", {"width": 3}).state_dict()
    del state_dict["norm.weight"]
    with pytest.raises(StateDictError, match=r"missing: norm\.weight"):
        build_for_serving("test_buffers", {"width": 3}, state_dict, device=CPU)
    module, report = build_for_serving("test_buffers", {"width": 3}, state_dict, device=CPU, strict=False)
    assert report.at_initial_value == ("norm.weight",)
    assert module.norm.weight.tolist() == [1, 1, 1]
    assert not module.training


def test_a_buffer_computed_from_parameters_is_refused():
    with pytest.raises(ArchitectureError, match="left scale without values"):
        build_for_serving("test_computed_buffer", {}, {"weight": torch.ones(2)}, device=CPU)


def test_non_finite_parameters_are_named_and_buffers_may_be_infinite():
    module = build_model("test_buffers", {"width": 3})
    assert non_finite_parameters(module) == []
    with torch.no_grad():
        module.norm.bias[0] = torch.inf
        module.norm.running_mean[1] = torch.nan
    assert non_finite_parameters(module) == ["parameter norm.bias", "buffer norm.running_mean"]


def test_building_without_values_draws_no_random_numbers():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    build_without_values("test_buffers", {"width": 3})  # its __init__ calls torch.randn
    assert torch.equal(torch.rand(1), expected)


def test_non_finite_values_of_eight_bits_are_found():
    module = nn.Module()
    module.register_buffer("scale", torch.tensor([1.0, torch.nan]).to(torch.float8_e4m3fn))
    assert non_finite_parameters(module) == ["buffer scale"]
