from __future__ import annotations

import copy
import random
from pathlib import Path

import numpy
import pytest
import torch
from tests.models.training_runs import CONFIG, Run, assert_same_run, assert_same_state, seeded_run

from statehouse.models import BatchOrder, build_model, load_checkpoint, resume_training, save_checkpoint
from statehouse.models.errors import CheckpointUnreadableError, ResumeError

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("steps", [7, 10, 14], ids=["at the end of an epoch", "inside one", "at a later end"])
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path, steps):
    run = seeded_run().train(steps)
    run.save(tmp_path / "run.pt")
    run.train(20)

    torch.manual_seed(99)
    resumed = Run()
    resumed.train(3)  # whatever it did before is overwritten
    state = resume_training(tmp_path / "run.pt", resumed.model, resumed.optimizer, **resumed.parts)
    resumed.losses.clear()
    resumed.train(20)
    assert resumed.losses == run.losses[steps:]
    assert_same_run(resumed, run)
    assert (state.step, state.loss, state.best_metric) == (
        steps,
        run.losses[steps - 1],
        min(run.losses[:steps]),
    )
    assert state.epoch == (steps - 1) // 7


def test_data_loaders_resume_in_the_middle_of_an_epoch(tmp_path):
    rows = torch.utils.data.TensorDataset(torch.arange(20.0))

    def loader(order):
        return torch.utils.data.DataLoader(rows, batch_sampler=order, generator=torch.Generator())

    def draw(order, steps):
        drawn = []
        while len(drawn) < steps:
            for (batch,) in loader(order):
                drawn.append((batch.tolist(), torch.rand(1).item()))
                if len(drawn) == steps:
                    break
        return drawn

    model = build_model("mlp", CONFIG)
    optimizer, order = torch.optim.SGD(model.parameters(), lr=0.1), BatchOrder(20, 6, seed=1)
    draw(order, 6)
    save_checkpoint(
        tmp_path / "run.pt", model, architecture="mlp", config=CONFIG, optimizer=optimizer, order=order
    )
    expected = draw(order, 7)
    order = BatchOrder(20, 6, seed=1)
    resume_training(tmp_path / "run.pt", model, optimizer, order=order)
    assert draw(order, 7) == expected


def snapshot(run: Run):
    states = [run.optimizer.state_dict(), *(part.state_dict() for part in run.parts.values())]
    generators = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist()
    return copy.deepcopy((run.model.state_dict(), states, generators))


def assert_unchanged(run: Run, before) -> None:
    tensors, (optimizer, *states), (torch_state, python, numpy_state) = before
    assert all(torch.equal(value, tensors[name]) for name, value in run.model.state_dict().items())
    assert_same_state(run.optimizer.state_dict(), optimizer)
    assert [part.state_dict() for part in run.parts.values()] == states
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (random.getstate(), numpy.random.get_state()[1].tolist()) == (python, numpy_state)


def test_every_mismatch_is_told_at_once_and_nothing_changes(tmp_path):
    seeded_run().train(9).save(tmp_path / "run.pt")
    run = Run()
    run.model = build_model("mlp", CONFIG | {"hidden_sizes": [9]})
    run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1, momentum=0.9)
    run.scheduler = torch.optim.lr_scheduler.StepLR(run.optimizer, 2)
    run.order = BatchOrder(99, 16, seed=4)
    before = snapshot(run)
    with pytest.raises(ResumeError) as caught:
        resume_training(
            tmp_path / "run.pt", run.model, run.optimizer, scheduler=run.scheduler, order=run.order
        )
    assert_unchanged(run, before)
    text = str(caught.value)
    for line in (
        "model: wrong shape: layers",
        "optimizer: is a SGD here, a Adam in the checkpoint",
        "scheduler: is a StepLR here, a OneCycleLR in the checkpoint",
        "scaler: is in the checkpoint and was not given; give scaler=scaler",
        "order: size is 99 here, 100 in the checkpoint",
        "order: seed is 4 here, 3 in the checkpoint",
    ):
        assert line in text


def resume_with_optimizer(tmp_path, saved_by, given_by):
    """Save with one optimizer and resume with another; return the problems."""
    model = build_model("mlp", CONFIG)
    optimizer = saved_by(model)
    model(torch.randn(8, 4)).sum().backward()
    optimizer.step()
    path = save_checkpoint(tmp_path / "run.pt", model, architecture="mlp", config=CONFIG, optimizer=optimizer)
    other = build_model("mlp", CONFIG)
    with pytest.raises(ResumeError) as caught:
        resume_training(path, other, given_by(other))
    return caught.value.problems


def test_groups_and_parameters_are_named(tmp_path):
    names = [name for name, _ in build_model("mlp", CONFIG).named_parameters()]

    def all_of(model):
        return torch.optim.AdamW(model.parameters())

    def two_groups(model):
        first, *others = model.parameters()
        return torch.optim.AdamW([{"params": [first]}, {"params": others}])

    def without_the_first(model):
        return torch.optim.AdamW(list(model.parameters())[1:])

    def backwards(model):
        return torch.optim.AdamW(list(model.parameters())[::-1])

    assert resume_with_optimizer(tmp_path, all_of, two_groups) == [
        "optimizer: has 2 groups here, 1 in the checkpoint"
    ]
    assert resume_with_optimizer(tmp_path, all_of, without_the_first) == [
        f"optimizer: group 0: {names[0]} is in the checkpoint's alone"
    ]
    assert resume_with_optimizer(tmp_path, all_of, backwards) == [
        "optimizer: group 0: has the same parameters in another order"
    ]


def test_foreign_training_checkpoints_are_compared_by_what_they_have(tmp_path):
    """A tutorial's file says no classes and no names."""
    model = build_model("mlp", CONFIG)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(8, 4)).sum().backward()
    optimizer.step()
    held = {"model_state_dict": model.state_dict(), "model_config": CONFIG, "epoch": 3}
    held["optimizer_state_dict"] = optimizer.state_dict()
    torch.save(held, tmp_path / "tutorial.pt")
    with pytest.raises(ResumeError) as caught:
        resume_training(tmp_path / "tutorial.pt", model, torch.optim.SGD(model.parameters(), lr=0.1))
    text = str(caught.value)
    assert "optimizer: group 0: setting betas is in the checkpoint alone" in text
    assert "optimizer: group 0: setting momentum is not in the checkpoint" in text
    assert "random numbers: were not saved; go on from others with rng=False" in text
    fresh = torch.optim.Adam(model.parameters())
    assert resume_training(tmp_path / "tutorial.pt", model, fresh, rng=False).epoch == 3
    assert_same_state(fresh.state_dict(), optimizer.state_dict())
    held["optimizer_state_dict"]["state"][0]["exp_avg"] = torch.zeros(3)
    torch.save(held, tmp_path / "tutorial.pt")
    with pytest.raises(ResumeError, match=r"exp_avg of .*weight is \[8, 4\] here, \[3\] in the checkpoint"):
        resume_training(tmp_path / "tutorial.pt", model, fresh, rng=False)


def test_a_scaler_that_is_off_on_one_side_alone_is_refused(tmp_path):
    run = seeded_run().train(2)
    path = run.save(tmp_path / "run.pt")
    run.scaler = torch.amp.GradScaler("cpu", enabled=False)
    with pytest.raises(ResumeError, match="scaler: is switched off here alone"):
        resume_training(path, run.model, run.optimizer, **run.parts)


class Stubborn(torch.optim.lr_scheduler.StepLR):
    """Refuses its state half-way, as a scheduler of another make may."""

    def load_state_dict(self, state_dict):
        self.gamma = 99.0
        if "_step_count" in state_dict and state_dict["_step_count"] > 2:
            raise ValueError("not that one")
        super().load_state_dict(state_dict)


def test_a_part_that_refuses_its_state_leaves_the_others_as_they_were(tmp_path):
    run = seeded_run()
    run.scheduler = Stubborn(run.optimizer, 2)
    path = run.train(3).save(tmp_path / "run.pt")
    other = Run()
    other.scheduler = Stubborn(other.optimizer, 2)
    before = snapshot(other)
    with pytest.raises(ResumeError, match=r"scheduler: refuses its state .*not that one"):
        resume_training(path, other.model, other.optimizer, **other.parts)
    assert_unchanged(other, before)


def test_a_flipped_bit_is_found_before_the_run_goes_on_from_it(tmp_path):
    run = seeded_run().train(2)
    path = run.save(tmp_path / "run.pt")
    exp_avg = run.optimizer.state_dict()["state"][0]["exp_avg"].numpy().tobytes()
    content = path.read_bytes()
    assert content.count(exp_avg) == 1
    path.write_bytes(content.replace(exp_avg, bytes([exp_avg[0] ^ 1]) + exp_avg[1:]))
    before = snapshot(run)
    with pytest.raises(CheckpointUnreadableError, match="has changed since it was written"):
        resume_training(path, run.model, run.optimizer, **run.parts)
    assert_unchanged(run, before)


def test_what_a_training_checkpoint_publishes_is_the_model_alone(tmp_path):
    run = seeded_run().train(2)
    path = run.save(tmp_path / "run.pt")
    bare = save_checkpoint(tmp_path / "bare.pt", run.model, architecture="mlp", config=CONFIG)
    assert load_checkpoint(path).digest() == load_checkpoint(bare).digest()
