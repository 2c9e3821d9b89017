"""What a keeper remembers: which checkpoints stay, what is best, and for how long nothing has become better."""

from __future__ import annotations

import math

import pytest

from statehouse.models.errors import KeeperError
from statehouse.models.training.keeper_state import KeeperSettings, KeeperState

NAN = math.nan


def state_after(metrics, settings):
    state = KeeperState(settings.mode)
    for step, metric in enumerate(metrics, start=1):
        state = state.after(step, metric, settings)
    return state


@pytest.mark.parametrize(
    ("mode", "metrics", "kept", "best"),
    [
        ("min", [3.0, 1.0, 2.0], [2, 3], 1.0),
        ("max", [1.0, 3.0, 2.0], [2, 3], 3.0),
        ("min", [1.0, 1.0], [1, 2], 1.0),
        ("min", [2.0, 1.0], [2], 1.0),
        ("max", [NAN, 1.0, NAN], [2, 3], 1.0),
        ("min", [None, None], [2], None),
        ("min", [], [], None),
        ("max", [-math.inf, math.inf], [2], math.inf),
    ],
)
def test_the_best_and_the_last_stay(mode, metrics, kept, best):
    state = state_after(metrics, KeeperSettings(mode))
    assert (list(state.kept), state.best) == (kept, best)
    assert state.last_step == (len(metrics) or None)


def test_several_of_the_best_stay_or_none():
    metrics = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert list(state_after(metrics, KeeperSettings(keep_best=3)).kept) == [2, 4, 5]
    assert list(state_after(metrics, KeeperSettings(keep_best=2)).kept) == [2, 4, 5]
    assert list(state_after(metrics, KeeperSettings(keep_best=0)).kept) == [5]


def test_equal_metrics_are_in_the_order_of_their_steps():
    settings = KeeperSettings("max")
    assert KeeperState("max").best_steps(settings, {3: 1.0, 1: 1.0, 2: 2.0, 4: None, 5: NAN}) == [2, 1, 3]


@pytest.mark.parametrize(
    ("metrics", "waited"),
    [
        ([1.0, 1.0, 1.0], 2),
        ([1.0, 0.5], 0),
        ([1.0, NAN, NAN], 2),
        ([NAN, NAN, 1.0], 0),
        ([1.0, None, 2.0], 1),
    ],
)
def test_what_is_no_improvement_is_waited_for(metrics, waited):
    assert state_after(metrics, KeeperSettings()).waited == waited


def test_small_steps_do_not_count_and_add_up():
    settings = KeeperSettings(min_delta=0.5)
    state = state_after([3.0, 2.8, 2.6], settings)
    assert (state.best, state.reference, state.waited) == (2.6, 3.0, 2)
    state = state.after(4, 2.4, settings)
    assert (state.best, state.reference, state.waited) == (2.4, 2.4, 0)


def test_exactly_min_delta_is_not_more_than_it():
    assert not KeeperSettings("max", min_delta=0.5).is_better(1.5, 1.0, 0.5)
    assert KeeperSettings("max").is_better(1.5, 1.0)
    assert not KeeperSettings("max").is_better(NAN, 1.0)


def test_it_is_read_as_it_was_written():
    state = state_after([3.0, 1.0, NAN], KeeperSettings(keep_best=2))
    plain = state.to_plain()
    read = KeeperState.from_plain(plain)
    assert repr(read) == repr(state)  # NaN equals nothing
    assert read.id == plain["id"]
    assert KeeperState.from_plain({**plain, "kept": [list(each) for each in plain["kept"]]}).kept.keys() == {
        1,
        2,
        3,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "least"},
        {"kept": [[1]]},
        {"kept": {"1": 2.0}},
        {"waited": "x"},
        {"more": 1},
        {"best": object()},
    ],
)
def test_anything_else_is_refused(wrong):
    with pytest.raises(KeeperError, match="is not what a CheckpointKeeper writes: "):
        KeeperState.from_plain(KeeperState("min").to_plain() | wrong)


def test_each_run_has_a_mark_of_its_own():
    assert KeeperState("min").id != KeeperState("min").id
