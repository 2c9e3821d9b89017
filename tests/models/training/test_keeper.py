from __future__ import annotations

import math

import pytest
import torch
from tests.models.training_runs import CONFIG, Run, seeded_run

from statehouse.models import CheckpointKeeper, build_model, load_checkpoint, save_checkpoint
from statehouse.models.errors import CheckpointContentError, KeeperError
from statehouse.models.training.keeper_state import KeeperSettings, KeeperState

NAN = math.nan


@pytest.fixture(scope="module")
def net():
    return build_model("mlp", CONFIG)


def saver(keeper, net):
    """Return a function that saves steps with their metrics, and says which were removed."""

    def save(step, metric=None):
        saved = keeper.save(net, step=step, metric=metric, architecture="mlp", config=CONFIG)
        return [path.name for path in saved.removed]

    return save


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_best_and_the_last_stay(tmp_path, net):
    keeper = CheckpointKeeper(tmp_path, mode="max", keep_best=2)
    save = saver(keeper, net)
    for step, metric in enumerate([0.5, 0.9, 0.7, 0.8, 0.1, 0.2], start=1):
        save(step, metric)
    assert names(tmp_path) == ["step-00000002.pt", "step-00000004.pt", "step-00000006.pt"]
    assert keeper.best == tmp_path / "step-00000002.pt"
    assert keeper.last == tmp_path / "step-00000006.pt"
    assert keeper.best_metric == load_checkpoint(keeper.last).training.best_metric == 0.9


def test_the_smallest_is_best_unless_told_otherwise_and_of_equal_ones_the_first(tmp_path, net):
    keeper = CheckpointKeeper(tmp_path)
    save = saver(keeper, net)
    assert save(1, 3.0) == []
    assert save(2, 1.0) == ["step-00000001.pt"]
    assert save(3, 1.0) == []
    assert save(4, torch.tensor(2.0)) == ["step-00000003.pt"]
    assert keeper.best == tmp_path / "step-00000002.pt"


def test_without_a_metric_the_last_alone_stays(tmp_path, net):
    save = saver(CheckpointKeeper(tmp_path, keep_best=3), net)
    save(1)
    assert save(2) == ["step-00000001.pt"]
    assert names(tmp_path) == ["step-00000002.pt"]


def test_every_so_many_steps(tmp_path):
    keeper = CheckpointKeeper(tmp_path, every=3)
    assert [step for step in range(1, 10) if keeper.is_due(step)] == [3, 6, 9]


@pytest.mark.parametrize(
    ("mode", "metrics", "stops_after"),
    [
        ("max", [0.1, 0.2, 0.2, 0.15, 0.3], 4),
        ("max", [0.1, 0.2, 0.2, 0.3, 0.3, 0.3], 6),
        ("min", [3.0, 2.0, 2.5, 2.1], 4),
        ("min", [3.0, NAN, NAN], 3),
        ("min", [NAN, NAN], 2),
        ("max", [0.5, 0.505, 0.509], 3),  # less than min_delta each
        ("max", [0.5, 0.505, 0.515, 0.52], None),  # more than min_delta since the last that counted
    ],
)
def test_it_stops_once_patience_is_through(mode, metrics, stops_after):
    settings = KeeperSettings(mode, patience=2, min_delta=0.01)
    state, stopped = KeeperState(mode), None
    for step, metric in enumerate(metrics, start=1):
        state = state.after(step, metric, settings)
        if stopped is None and state.waited >= 2:
            stopped = step
    assert stopped == stops_after


def test_nan_is_said_and_is_never_the_best(tmp_path, net):
    keeper = CheckpointKeeper(tmp_path, mode="max", patience=1)
    save = saver(keeper, net)
    with pytest.warns(UserWarning, match="the metric of step 1 is NaN: counted as no improvement"):
        save(1, NAN)
    assert keeper.should_stop
    assert keeper.best is None
    save(2, -5.0)
    assert keeper.best == tmp_path / "step-00000002.pt"
    assert not keeper.should_stop
    with pytest.warns(UserWarning, match="NaN"):
        keeper_result = keeper.save(net, step=3, metric=NAN, architecture="mlp", config=CONFIG)
    assert not keeper_result.improved
    assert names(tmp_path) == ["step-00000002.pt", "step-00000003.pt"]


def test_a_restart_finds_everything_in_the_folder(tmp_path, net):
    settings = {"mode": "max", "keep_best": 2, "patience": 3}
    metrics = [0.5, 0.9, 0.7, 0.8, 0.1, 0.2]
    at_one_go = CheckpointKeeper(tmp_path / "one", **settings)
    for step, metric in enumerate(metrics, start=1):
        saver(at_one_go, net)(step, metric)
        restarted = CheckpointKeeper(tmp_path / "many", **settings)
        saver(restarted, net)(step, metric)
    restarted = CheckpointKeeper(tmp_path / "many", **settings)
    assert names(tmp_path / "one") == names(tmp_path / "many")
    assert restarted.should_stop == at_one_go.should_stop is True
    assert (restarted.best.name, restarted.best_metric) == (at_one_go.best.name, at_one_go.best_metric)


def test_a_kill_between_writing_and_removing_is_made_good(tmp_path, net, monkeypatch):
    keeper = CheckpointKeeper(tmp_path)
    saver(keeper, net)(1, 1.0)
    monkeypatch.setattr(CheckpointKeeper, "_remove", lambda self, keep: [])
    saver(keeper, net)(2, 0.5)
    monkeypatch.undo()
    unfinished = tmp_path / ".step-00000003.pt.0123abcd.tmp"
    unfinished.write_bytes(b"half")
    restarted = CheckpointKeeper(tmp_path)
    assert restarted.last == tmp_path / "step-00000002.pt"
    assert saver(restarted, net)(3, 0.7) == ["step-00000001.pt"]
    assert names(tmp_path) == ["step-00000002.pt", "step-00000003.pt"]


def test_what_it_did_not_write_is_never_removed(tmp_path, net):
    save_checkpoint(tmp_path / "step-00000001.pt", net, architecture="mlp", config=CONFIG)
    (tmp_path / "step-2.pt").write_bytes(b"mine")
    (tmp_path / "notes.txt").write_text("mine")
    other = CheckpointKeeper(tmp_path / "other")
    saver(other, net)(3, 1.0)
    foreign = tmp_path / "step-00000003.pt"
    keeper = CheckpointKeeper(tmp_path)
    saver(keeper, net)(4, 1.0)
    foreign.write_bytes(other.last.read_bytes())
    (tmp_path / "step-00000002.pt").symlink_to(keeper.last)
    saver(keeper, net)(5, 0.5)
    mine = ["notes.txt", "other", "step-00000001.pt", "step-00000002.pt", "step-00000003.pt", "step-2.pt"]
    assert names(tmp_path) == sorted([*mine, "step-00000005.pt"])
    keeper.clear()
    assert names(tmp_path) == sorted(mine)
    other.clear()
    assert not (tmp_path / "other").exists()


def test_it_never_writes_over_a_file_of_somebody_else(tmp_path, net):
    mine = save_checkpoint(tmp_path / "step-00000001.pt", net, architecture="mlp", config=CONFIG)
    before = mine.read_bytes()
    with pytest.raises(KeeperError, match="was not written by this keeper; move it away"):
        saver(CheckpointKeeper(tmp_path), net)(1)
    assert mine.read_bytes() == before


def test_a_damaged_file_is_said_and_left_alone(tmp_path, net):
    keeper = CheckpointKeeper(tmp_path, mode="max")
    saver(keeper, net)(1, 0.9)
    saver(keeper, net)(2, 0.5)
    keeper.last.write_bytes(keeper.last.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"step-00000002.pt: is left alone: .*cut short or damaged"):
        restarted = CheckpointKeeper(tmp_path, mode="max")
    assert restarted.last == tmp_path / "step-00000001.pt"


def test_steps_go_up_and_one_process_saves_at_a_time(tmp_path, net):
    keeper = CheckpointKeeper(tmp_path)
    saver(keeper, net)(5)
    with pytest.raises(KeeperError, match="step 5 is not after 5, the last one here; resume from it"):
        saver(keeper, net)(5)
    twin = CheckpointKeeper(tmp_path)
    saver(keeper, net)(7)
    with pytest.raises(KeeperError, match="step 7 was saved here by another process of the same run"):
        saver(twin, net)(6)
    assert names(tmp_path) == ["step-00000007.pt"]


def test_a_run_that_stopped_is_not_gone_on_with_unasked(tmp_path, net):
    saver(CheckpointKeeper(tmp_path, resume=False), net)(5)
    with pytest.raises(KeeperError, match=r"has a run that stopped at step 5; go on with it \(resume=True;"):
        CheckpointKeeper(tmp_path, resume=False)


def test_a_save_that_fails_removes_nothing_and_is_forgotten(tmp_path, net):
    keeper = CheckpointKeeper(tmp_path)
    saver(keeper, net)(1, 1.0)
    with pytest.raises(CheckpointContentError):
        keeper.save(net, step=2, metric=0.1, architecture="mlp", config=CONFIG, metadata={"x": object()})
    assert names(tmp_path) == ["step-00000001.pt"]
    assert keeper.best_metric == 1.0
    saver(keeper, net)(2, 0.5)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"every": 0}, "every is 0; expected at least 1"),
        ({"mode": "most"}, "mode is 'most'; expected 'min' or 'max'"),
        ({"keep_best": -1, "patience": 0}, "keep_best is -1; .*patience is 0"),
        ({"patience": -1}, "patience is -1; expected at least 1, or None"),
        ({"min_delta": NAN}, "min_delta is nan"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, settings, expected):
    with pytest.raises(KeeperError, match=expected):
        CheckpointKeeper(tmp_path, **settings)


def test_another_mode_than_the_folders_is_refused(tmp_path, net):
    saver(CheckpointKeeper(tmp_path, mode="max"), net)(1, 0.5)
    with pytest.raises(KeeperError, match="kept by the max of a metric, and mode is 'min' now"):
        CheckpointKeeper(tmp_path)


def test_a_run_that_it_resumes_ends_as_if_never_stopped(tmp_path):
    def go_on(run, keeper, until):
        while run.step < until:
            run.train(1)
            if keeper.is_due(run.step):
                parts = {"optimizer": run.optimizer, **run.parts}
                loss = run.losses[-1]
                keeper.save(run.model, step=run.step, metric=loss, architecture="mlp", config=CONFIG, **parts)

    whole, keeper = seeded_run(), CheckpointKeeper(tmp_path / "whole", every=4, keep_best=2)
    assert keeper.resume(whole.model, whole.optimizer, **whole.parts) is None
    go_on(whole, keeper, 20)

    stopped = seeded_run()
    go_on(stopped, CheckpointKeeper(tmp_path / "stopped", every=4, keep_best=2), 11)
    resumed, again = Run(), CheckpointKeeper(tmp_path / "stopped", every=4, keep_best=2)
    resumed.step = again.resume(resumed.model, resumed.optimizer, **resumed.parts).step
    assert resumed.step == 8
    go_on(resumed, again, 20)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert names(tmp_path / "whole") == names(tmp_path / "stopped")
    assert again.best.name == keeper.best.name
