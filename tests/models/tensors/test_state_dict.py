from __future__ import annotations

import pytest
import torch
from torch import nn

from statehouse.models.errors import ArchitectureError, StateDictError
from statehouse.models.tensors.state_dict import apply, compare, describe, expected_tensors, fit


def test_one_report_has_every_difference(simple_net):
    given = dict(simple_net.state_dict())
    given["model.fc1.weight"] = given.pop("fc1.weight")
    given["more.weight"] = given.pop("fc2.weight").T
    given["fc1.bias"] = torch.zeros(5)
    given["fc2.bias"] = given["fc2.bias"].half()
    report = compare(expected_tensors(simple_net), describe(given))
    assert not report.ok
    assert report.lines() == [
        "likely renaming: model.fc1.weight → fc1.weight",
        r"if that is meant, say --accept-renames, or --rename 'model\.fc1\.weight=fc1.weight'",
        "missing: fc2.weight",
        "unexpected: more.weight",
        "wrong shape: fc1.bias is float32 [5], expected float32 [3]",
        "wrong dtype: fc2.bias is float16 [2], expected float32 [2]",
    ]
    assert report.missing == ("fc1.weight", "fc2.weight")
    assert report.at_initial_value == ("fc1.weight", "fc2.weight", "fc1.bias", "fc2.bias")


def test_a_fitting_state_dict_is_ok(simple_net):
    report = compare(expected_tensors(simple_net), describe(simple_net.state_dict()))
    assert report.ok
    assert report.lines() == []


def test_apply_copies_values_and_keeps_mode_and_gradients(simple_net):
    simple_net.train()
    given = {f"module.{name}": torch.ones_like(value) for name, value in simple_net.state_dict().items()}
    assert apply(simple_net, given).ok
    assert all((parameter == 1).all() and parameter.requires_grad for parameter in simple_net.parameters())
    assert simple_net.training


def test_strict_apply_copies_nothing_unless_all_fits(simple_net):
    before = {name: value.clone() for name, value in simple_net.state_dict().items()}
    with pytest.raises(StateDictError, match=r"missing: fc1\.bias") as caught:
        apply(simple_net, {"fc1.weight": torch.ones(3, 4)})
    assert caught.value.report.missing == ("fc1.bias", "fc2.weight", "fc2.bias")
    assert all(torch.equal(before[name], value) for name, value in simple_net.state_dict().items())


def test_apply_without_strict_says_what_stayed(simple_net):
    before = simple_net.fc2.weight.clone()
    report = apply(simple_net, {"fc1.weight": torch.ones(3, 4), "more": torch.ones(1)}, strict=False)
    assert report.at_initial_value == ("fc1.bias", "fc2.weight", "fc2.bias")
    assert report.unexpected == ("more",)
    assert (simple_net.fc1.weight == 1).all()
    assert torch.equal(simple_net.fc2.weight, before)


def test_wrapped_and_compiled_modules_fit(simple_net):
    wrapped = nn.DataParallel(torch.compile(simple_net))
    assert next(iter(wrapped.state_dict())).startswith("module._orig_mod.")
    fitting, report = fit(wrapped, simple_net.state_dict())
    assert report.ok
    assert set(fitting) == set(wrapped.state_dict())


def test_a_module_with_an_attribute_called_module_fits_itself():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2)

    assert fit(Own(), Own().state_dict())[1].ok


def test_state_that_is_no_tensor_of_known_shape_is_refused():
    class Extra(nn.Module):
        def get_extra_state(self) -> dict[str, int]:
            return {"step": 1}

    for module in (Extra(), nn.LazyLinear(3)):
        with pytest.raises(ArchitectureError, match="not tensors of known shape alone"):
            expected_tensors(module)
