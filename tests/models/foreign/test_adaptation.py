"""A foreign state_dict made what its architecture declares, where that is exact; each step is told."""

from __future__ import annotations

import warnings

import pytest
import torch

from statehouse.models.architecture import register_architecture
from statehouse.models.foreign.adaptation import adapt

CONFIG = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
BATCH_NORM = {"input_size": 2, "hidden_sizes": [2], "output_size": 2, "normalisation": "batch"}


@register_architecture("test_tied_halves")
class TiedHalves(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(2, 2, dtype=torch.float16)
        self.second = torch.nn.Linear(2, 2, bias=False, dtype=torch.float16)
        self.second.weight = self.first.weight


@register_architecture("test_weight_norm")
class WeightNorm(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 2))


@register_architecture("test_old_weight_norm")
class OldWeightNorm(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.fc = torch.nn.utils.weight_norm(torch.nn.Linear(4, 2))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_what_fits_is_taken_as_it_is(simple_net):
    state = simple_net.state_dict()
    adapted, notes = adapt("simple_net", CONFIG, state)
    assert notes == []
    assert equal(adapted, state)


@pytest.mark.parametrize("prefix", ["net.", "a.b.c.d."])
def test_a_prefix_that_all_names_share_is_taken_off(simple_net, prefix):
    state = simple_net.state_dict()
    adapted, notes = adapt("simple_net", CONFIG, {prefix + name: value for name, value in state.items()})
    assert notes == [f"prefix {prefix} taken off all 4 names: the architecture has none such"]
    assert equal(adapted, state)


def test_a_prefix_of_some_or_too_deep_a_one_stays(simple_net):
    state = simple_net.state_dict()
    for given in (
        {name if name == "fc1.bias" else f"net.{name}": value for name, value in state.items()},
        {f"a.b.c.d.e.{name}": value for name, value in state.items()},
    ):
        adapted, notes = adapt("simple_net", CONFIG, given)
        assert (list(adapted), notes) == (list(given), [])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_cast_to_what_the_architecture_has(simple_net, dtype):
    halves = {name: value.to(dtype) for name, value in simple_net.state_dict().items()}
    adapted, notes = adapt("simple_net", CONFIG, halves)
    told = str(dtype).removeprefix("torch.")
    assert notes == [f"4 tensors cast from {told} to float32, as the architecture has them: no value changes"]
    assert all(
        value.dtype is torch.float32 and torch.equal(value.to(dtype), halves[name])
        for name, value in adapted.items()
    )


def test_doubles_are_not_made_less(simple_net):
    doubles = {name: value.double() for name, value in simple_net.state_dict().items()}
    adapted, notes = adapt("simple_net", CONFIG, doubles)
    assert notes == []
    assert adapted["fc1.weight"].dtype is torch.float64


def test_halves_that_are_declared_stay_and_tied_names_come_back():
    state = TiedHalves().state_dict()
    adapted, notes = adapt(
        "test_tied_halves", {}, {name: state[name] for name in ("first.weight", "first.bias")}
    )
    assert notes == [
        "float16 is kept, as the architecture has it",
        "not in the file, tied to others that are: second.weight",
    ]
    assert adapted["second.weight"] is adapted["first.weight"]


def test_a_tensor_that_has_two_names_is_cast_once():
    shared = torch.ones(3, 4, dtype=torch.float16)
    config = {"input_size": 4, "hidden_size": 3, "num_classes": 3}
    given = {
        "fc1.weight": shared,
        "fc1.bias": torch.zeros(3),
        "fc2.weight": torch.zeros(3, 3),
        "fc2.bias": shared,
    }
    adapted, _ = adapt("simple_net", config, given)
    assert adapted["fc1.weight"] is adapted["fc2.bias"]


def test_the_counter_of_a_batch_norm_comes_and_goes(simple_net):
    from statehouse.models import build_model

    state = build_model("mlp", BATCH_NORM).state_dict()
    counter = "layers.1.num_batches_tracked"
    adapted, notes = adapt("mlp", BATCH_NORM, {name: each for name, each in state.items() if name != counter})
    assert notes == [f"not in the file, made by the module itself: {counter}"]
    assert list(adapted) == list(state)
    more = simple_net.state_dict() | {
        f"old.{index}.num_batches_tracked": torch.tensor(3) for index in range(8)
    }
    adapted, notes = adapt("simple_net", CONFIG, more)
    assert list(adapted) == list(simple_net.state_dict())
    listed = ", ".join(f"old.{index}.num_batches_tracked" for index in range(6))
    assert notes == [f"left out, without a part in the answers: {listed} and 2 more"]


def test_what_does_not_fit_stays_for_the_report(simple_net):
    given = simple_net.state_dict() | {"extra": torch.zeros(1), "old.num_batches_tracked": torch.tensor(1)}
    del given["fc2.bias"]
    adapted, notes = adapt("simple_net", CONFIG, given)
    assert list(adapted) == ["fc1.weight", "fc1.bias", "fc2.weight", "extra"]
    assert notes == ["left out, without a part in the answers: old.num_batches_tracked"]


def test_an_architecture_that_cannot_be_built_is_told_of_elsewhere():
    given = {"w": torch.zeros(1)}
    assert adapt("no_such", {}, given) == (given, [])
    assert adapt("simple_net", {"input_size": -1}, given) == (given, [])


def test_names_of_another_weight_norm_are_translated_and_told():
    old = OldWeightNorm().state_dict()
    adapted, [note] = adapt("test_weight_norm", {}, old)
    assert adapted["fc.parametrizations.weight.original1"] is old["fc.weight_v"]
    assert note.startswith("2 names translated as the module's own loading code does: fc.weight_g → ")
    adapted, [note] = adapt("test_old_weight_norm", {}, WeightNorm().state_dict())
    assert list(adapted) == ["fc.bias", "fc.weight_g", "fc.weight_v"]
    assert "weight_norm of before parametrizations" in note


def test_extra_state_is_left_out_and_told(simple_net):
    given = {**simple_net.state_dict(), "fc1._extra_state": torch.ones(1)}
    adapted, [note] = adapt("simple_net", CONFIG, given)
    assert note == "left out, extra state that is no tensor of the network: fc1._extra_state"
    assert equal(adapted, simple_net.state_dict())
