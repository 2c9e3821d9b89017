"""Names are translated by what modules' own loading code does to them; values are never touched."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from statehouse.models.tensors.translated_names import (
    names_of_loader,
    names_of_modules,
    norm_names,
    renamed,
    translation_notes,
)

PARAMETRIZED = {
    "fc.weight_g": "fc.parametrizations.weight.original0",
    "fc.weight_v": "fc.parametrizations.weight.original1",
}


class Net(nn.Module):
    def __init__(self, norm) -> None:
        super().__init__()
        self.fc = norm(nn.Linear(4, 2))


@pytest.fixture
def old_norm():
    with pytest.warns(FutureWarning):
        return Net(torch.nn.utils.weight_norm)


def test_the_old_weight_norm_becomes_the_new_as_torch_has_it(old_norm):
    new = Net(torch.nn.utils.parametrizations.weight_norm)
    names = names_of_modules(new, old_norm.state_dict())
    assert names == PARAMETRIZED
    assert renamed(old_norm.state_dict(), names).keys() == new.state_dict().keys()
    before = {name: value.clone() for name, value in new.state_dict().items()}
    assert all(torch.equal(value, before[name]) for name, value in new.state_dict().items())


def test_the_new_weight_norm_becomes_the_old(old_norm):
    new = Net(torch.nn.utils.parametrizations.weight_norm).state_dict()
    names = norm_names(old_norm.state_dict().keys(), new)
    assert names == {new: old for old, new in PARAMETRIZED.items()}


def test_nothing_is_translated_where_all_names_fit(old_norm):
    assert names_of_modules(old_norm, old_norm.state_dict()) == {}


class Versioned(nn.Linear):
    _version = 2

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        if local_metadata.get("version") == 1:
            state_dict[f"{prefix}weight"] = state_dict.pop(f"{prefix}kernel")
        if "broken" in "".join(state_dict):
            raise ValueError("no version")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


def test_modules_see_the_versions_that_the_file_was_written_with():
    module = nn.Sequential(Versioned(2, 2, bias=False))
    given = {"0.kernel": torch.ones(2, 2)}
    assert names_of_modules(module, given) == {}
    assert names_of_modules(module, given, {"0": {"version": 1}}) == {"0.kernel": "0.weight"}


def test_a_part_that_fails_keeps_no_other_from_translating():
    module = nn.Sequential(Versioned(2, 2), torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)))
    given = {"broken": torch.ones(1), "1.weight_g": torch.ones(2, 1), "1.weight_v": torch.ones(2, 4)}
    assert list(names_of_modules(module, given)) == ["1.weight_g", "1.weight_v"]


def test_what_a_loader_computes_is_not_taken_and_its_origin_stays():
    def load(state):
        return {"kept": state["old"], "computed": state["other"] + 1}

    given = {"old": torch.ones(2), "other": torch.ones(2)}
    names = names_of_loader(load, ["kept", "computed"], given, leaves_out=True)
    assert names == {"old": "kept"}


def test_what_a_loader_drops_is_left_out_where_that_is_asked():
    given = {"old": torch.ones(2), "dropped": torch.ones(1)}

    def load(state):
        return {"kept": state["old"]}

    assert names_of_loader(load, ["kept"], given) == {"old": "kept"}
    assert names_of_loader(load, ["kept"], given, leaves_out=True) == {"old": "kept", "dropped": None}


def test_the_notes_name_a_few():
    names = {**{f"a{n}": f"b{n}" for n in range(5)}, "c": None}
    assert translation_notes(names, "timm") == [
        "5 names translated as timm does: a0 → b0, a1 → b1, a2 → b2 and 2 more",
        "1 name left out as timm does: c",
    ]
    assert translation_notes({}, "timm") == []
