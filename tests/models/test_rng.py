"""Random numbers go on where they were, of every generator, or nothing is changed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from statehouse.models.errors import TrainingStateError
from statehouse.models.rng import capture_rng_state, restore_rng_state


def drawn():
    return [torch.rand(3).tolist(), np.random.random(3).tolist(), random.random(), random.gauss(0, 1)]


def test_every_generator_goes_on_where_it_was():
    np.random.standard_normal()  # NumPy keeps the second of a pair
    state = capture_rng_state()
    first = [*drawn(), np.random.standard_normal()]
    drawn()
    restore_rng_state(state)
    assert [*drawn(), np.random.standard_normal()] == first


def test_it_may_have_been_saved_and_read():
    state = capture_rng_state()
    first = drawn()
    restore_rng_state({**state, "python": [state["python"][0], list(state["python"][1]), state["python"][2]]})
    assert drawn() == first


@pytest.mark.parametrize(
    "wrong",
    [
        {"torch": None},
        {"torch": torch.zeros(3, dtype=torch.uint8)},
        {"numpy": []},
        {"numpy": ["MT19937", [1, 2], 0, 0, 0.0]},
        {"numpy": ["MT19937", [-1] * 624, 0, 0, 0.0]},
        {"python": [3, [1], None]},
        {"python": [3, [2**40] * 625, None]},
        {"cuda": None},
    ],
)
def test_what_is_no_state_changes_no_generator(wrong):
    state = capture_rng_state()
    torch.rand(1), np.random.random(), random.random()  # elsewhere than the state says
    here = capture_rng_state()
    with pytest.raises(TrainingStateError, match=r"rng_state is not what save_checkpoint writes .*rng=False"):
        restore_rng_state({**state, **wrong})
    first = drawn()
    restore_rng_state(here)
    assert drawn() == first


def test_a_missing_generator_is_told():
    with pytest.raises(TrainingStateError, match="KeyError: 'python'"):
        restore_rng_state({name: value for name, value in capture_rng_state().items() if name != "python"})
