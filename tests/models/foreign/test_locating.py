"""Where the weights are, when no known key says so: the only dict of tensors, or what to type of several."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from statehouse.models.errors import CheckpointContentError
from statehouse.models.foreign.locating import at_path, choose_by_path, find_weights, is_state_dict
from statehouse.models.storage.inert.record import Record

FILE = Path("k.pt")
WEIGHTS = {"fc.weight": torch.zeros(2, 3), "fc.bias": torch.zeros(2)}
OPTIMIZER = {
    "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2)}},
    "param_groups": [{"lr": 0.1}],
}


@pytest.mark.parametrize(
    ("held", "where"),
    [
        ({"net": WEIGHTS, "epoch": 1}, "net"),
        ({"state": {"model": WEIGHTS}}, "state.model"),
        ((WEIGHTS, 3), "0"),
        ([{"epoch": 1}, {"generator": WEIGHTS}], "1.generator"),
        ({"net": WEIGHTS, "optimizer": OPTIMIZER, "optim_g": {"a": torch.ones(1)}}, "net"),
        ({"net": WEIGHTS, "adam": OPTIMIZER, "rng_state": {"cpu": torch.ones(1)}}, "net"),
        ({"net": {**WEIGHTS, "version": 3}}, "net"),
    ],
)
def test_the_only_state_dict_is_taken_and_said(held: object, where: str) -> None:
    chosen = choose_by_path(FILE, held, None)
    assert (chosen.key, chosen.form) == (where, "state_dict")
    assert chosen.notes == (f"the weights are at {where}, the only state_dict in the file",)
    assert at_path(held, where) is chosen.tensors
    assert choose_by_path(FILE, held, where).tensors is chosen.tensors


def test_a_state_dict_with_a_number_beside_it_is_one() -> None:
    assert choose_by_path(FILE, {**WEIGHTS, "epoch": 3}, None).key is None


def test_of_several_each_is_listed_with_what_to_type() -> None:
    held = {"generator": WEIGHTS, "the critic": {"w": torch.zeros(5)}}
    with pytest.raises(CheckpointContentError) as error:
        choose_by_path(FILE, held, None)
    assert error.value.problems == [
        "one of several: generator (2 tensors, 8 numbers): say --from generator",
        "one of several: the critic (1 tensors, 5 numbers): say --from 'the critic'",
    ]


def test_a_path_that_leads_nowhere_says_where_some_are() -> None:
    with pytest.raises(
        CheckpointContentError, match="--from critic: there is nothing; expected a state_dict, as at: net"
    ):
        choose_by_path(FILE, {"net": WEIGHTS}, "critic")
    with pytest.raises(CheckpointContentError, match=r"--from args: there is a argparse\.Namespace"):
        choose_by_path(FILE, {"net": WEIGHTS, "args": Record("argparse.Namespace")}, "args")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([torch.ones(1), torch.ones(2)], "holds 2 tensors without names"),
        (Record("sklearn.svm.SVC"), "holds a sklearn.svm.SVC"),
        ({"a": 1}, "holds a dict with keys"),
        (3, "holds a int"),
    ],
)
def test_what_holds_none_is_named(held: object, said: str) -> None:
    with pytest.raises(CheckpointContentError, match=said):
        choose_by_path(FILE, held, None)


def test_keys_with_dots_are_found() -> None:
    held = {"a.b": {"c": WEIGHTS}, "a": {"b": 1}}
    assert at_path(held, "a.b.c") is WEIGHTS
    assert at_path(held, "a.x") is None
    assert at_path([WEIGHTS], "1") is None


def test_moments_are_no_state_dict_of_a_model() -> None:
    assert find_weights(OPTIMIZER) == {}
    assert not is_state_dict({0: torch.ones(1)})
    assert not is_state_dict({"w": torch.ones(1), **dict.fromkeys("abcdef", 1)})


def test_what_refers_to_itself_ends() -> None:
    held: dict[str, object] = {"net": WEIGHTS}
    held["again"] = held
    assert "net" in find_weights(held)
