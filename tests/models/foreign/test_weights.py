"""Which state_dict of a file is taken: the weights themselves, or their moving average."""

from __future__ import annotations

import pytest
import torch

from statehouse.models.foreign.weights import EMA_KEYS, STATE_DICT_KEYS, choose_weights

ONE, OTHER = {"w": torch.zeros(1)}, {"w": torch.ones(1)}
AVERAGED = {"module.w": torch.ones(1), "n_averaged": torch.tensor(7)}


@pytest.mark.parametrize(("key", "form"), STATE_DICT_KEYS)
def test_the_weights_are_where_trainers_put_them(key, form):
    chosen = choose_weights({key: ONE, "epoch": 3}, None)
    assert (chosen.form, chosen.key, chosen.tensors, chosen.weights) == (form, key, ONE, "model")
    assert chosen.notes == chosen.problems == ()


def test_of_several_keys_our_own_comes_first():
    assert choose_weights({"model": OTHER, "state_dict": OTHER, "model_state_dict": ONE}, None).tensors is ONE
    assert choose_weights({"model": "a name", "state_dict": ONE}, None).tensors is ONE


def test_lightning_is_known_by_its_version():
    assert choose_weights({"state_dict": ONE, "pytorch-lightning_version": "2.5"}, None).form == "lightning"


@pytest.mark.parametrize("key", EMA_KEYS)
def test_the_average_is_taken_of_both_and_the_other_is_named(key):
    chosen = choose_weights({"model": ONE, key: OTHER}, None)
    assert (chosen.key, chosen.tensors, chosen.weights) == (key, OTHER, "ema")
    assert chosen.notes == (f"the moving average ({key}) is taken; --weights model takes model",)
    asked = choose_weights({"model": ONE, key: OTHER}, "model")
    assert (asked.key, asked.tensors, asked.weights) == ("model", ONE, "model")
    assert asked.notes == (f"model is taken as asked, not the moving average ({key})",)


@pytest.mark.parametrize("inside", ["module", "state_dict", "model_state_dict", "model", "shadow"])
def test_the_average_may_be_what_its_class_saved_of_itself(inside):
    assert choose_weights({"ema": {inside: OTHER, "decay": 0.99}}, None).tensors is OTHER


def test_what_holds_no_tensor_is_no_average():
    assert choose_weights({"model": ONE, "ema": {"decay": 0.99}}, None).tensors is ONE
    assert choose_weights({"model": ONE, "ema": True}, None).key == "model"


def test_the_average_alone_is_taken_unless_the_weights_were_asked_for():
    chosen = choose_weights({"ema": OTHER}, None)
    assert (chosen.form, chosen.weights, chosen.notes, chosen.problems) == ("state_dict", "ema", (), ())
    assert choose_weights({"ema": OTHER}, "model").problems == (
        "--weights model: the file has the moving average alone; leave it out",
    )


def test_an_average_that_is_not_there_is_a_problem():
    chosen = choose_weights({"state_dict": ONE}, "ema")
    assert chosen.tensors is ONE
    [problem] = chosen.problems
    assert problem.startswith("--weights ema: the file has no moving average; looked for ema_state_dict, ")
    assert choose_weights({"state_dict": ONE}, "model").problems == ()


def test_bare_tensors_are_a_file_of_their_own():
    chosen = choose_weights(ONE, None)
    assert (chosen.form, chosen.key, chosen.tensors, chosen.problems) == ("bare", None, ONE, ())
    assert choose_weights(ONE, "ema").problems[0].startswith("--weights ema: ")
    assert choose_weights(ONE, "model").problems == ()


@pytest.mark.parametrize("held", [{}, {"w": [1.0]}, {"w": torch.zeros(1), "epoch": 3}])
def test_what_is_no_known_form_is_none(held):
    assert choose_weights(held, None) is None
    assert choose_weights(held, "ema") is None


@pytest.mark.parametrize("held", [{"state_dict": AVERAGED}, AVERAGED, {"ema": AVERAGED}])
def test_the_counter_of_an_averaged_model_is_left_out(held):
    chosen = choose_weights(held, None)
    assert list(chosen.tensors) == ["module.w"]
    assert chosen.weights == "ema"
    assert chosen.notes[-1] == "weights averaged over 7 steps; the counter n_averaged is left out"
    assert choose_weights(held, "ema").problems == ()


@pytest.mark.parametrize(
    "tensors",
    [
        {"w": torch.ones(1), "n_averaged": torch.tensor(7)},
        {"module.w": torch.ones(1), "n_averaged": torch.zeros(2)},
        {"module.w": torch.ones(1), "n_averaged": 7},
    ],
)
def test_a_tensor_that_is_only_called_so_stays(tensors):
    chosen = choose_weights({"state_dict": tensors}, None)
    assert (chosen.tensors, chosen.weights) == (tensors, "model")


def test_an_averaged_model_is_not_the_plain_one():
    assert choose_weights(AVERAGED, "model").problems[0].startswith("--weights model: ")
