from __future__ import annotations

import random

import numpy
import pytest
import torch
from torch import nn

from statehouse.models import build_model, load_checkpoint, save_checkpoint
from statehouse.models.errors import TrainingStateError
from statehouse.models.training_state import TrainingState, capture_rng_state, restore_rng_state

CONFIG = {"input_size": 4, "hidden_sizes": [8], "output_size": 2, "dropout": 0.3, "normalisation": "batch"}

OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, amsgrad=True),
}
SCHEDULERS = {
    "multi_step": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5]),
    "one_cycle": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=20),
    "sequential": lambda optimizer: torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=3),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9),
        ],
        milestones=[3],
    ),
}


def _train(model, optimizer, scheduler, steps):
    losses = []
    for _ in range(steps):
        rows = torch.randn(16, 4) * random.random() + float(numpy.random.rand())
        loss = nn.functional.cross_entropy(model(rows), torch.randint(0, 2, (16,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def _new(make_optimizer, make_scheduler):
    model = build_model("mlp", CONFIG)
    optimizer = make_optimizer(model.parameters())
    return model, optimizer, make_scheduler(optimizer)


@pytest.mark.parametrize("make_scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
@pytest.mark.parametrize("make_optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_run_that_was_saved_and_resumed_goes_on_exactly(tmp_path, make_optimizer, make_scheduler):
    torch.manual_seed(1)
    model, optimizer, scheduler = _new(make_optimizer, make_scheduler)
    _train(model, optimizer, scheduler, 4)
    save_checkpoint(
        tmp_path / "run.pt",
        model,
        architecture="mlp",
        config=CONFIG,
        optimizer=optimizer,
        scheduler=scheduler,
        epoch=4,
        loss=torch.tensor(0.25),
    )
    expected = _train(model, optimizer, scheduler, 4)

    resumed, optimizer, scheduler = _new(make_optimizer, make_scheduler)
    checkpoint = load_checkpoint(tmp_path / "run.pt")
    checkpoint.load_into(resumed)
    checkpoint.training.restore(optimizer=optimizer, scheduler=scheduler)
    assert _train(resumed, optimizer, scheduler, 4) == expected
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))
    assert checkpoint.training.epoch == 4
    assert checkpoint.training.loss == 0.25
    assert checkpoint.header.has_training_state


def test_a_loss_that_still_hangs_in_its_graph(tmp_path, simple_net, simple_net_config, recwarn):
    loss = simple_net(torch.ones(1, 4)).sum()
    path = tmp_path / "net.pt"
    save_checkpoint(path, simple_net, architecture="simple_net", config=simple_net_config, loss=loss)
    assert load_checkpoint(path).training.loss == loss.item()
    assert not recwarn.list
    with pytest.raises(TrainingStateError, match=r"loss is a tensor of shape \[2\].*loss\.mean\(\)"):
        save_checkpoint(
            path, simple_net, architecture="simple_net", config=simple_net_config, loss=torch.ones(2)
        )


def test_every_generator_is_put_back():
    state = capture_rng_state()

    def draw():
        return torch.rand(3).tolist(), numpy.random.standard_normal(3).tolist(), random.random()

    first = draw()
    restore_rng_state(state)
    assert draw() == first


def test_saving_does_not_disturb_the_generators(tmp_path, simple_net, simple_net_config):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    save_checkpoint(tmp_path / "x.pt", simple_net, architecture="simple_net", config=simple_net_config)
    assert torch.equal(torch.rand(1), expected)


def test_restoring_what_was_not_saved_says_how_to_save_it(simple_net):
    optimizer = torch.optim.SGD(simple_net.parameters())
    with pytest.raises(TrainingStateError, match=r"has no state of optimizer; .*optimizer=optimizer"):
        TrainingState(epoch=1).restore(optimizer=optimizer)


def test_safetensors_has_no_place_for_training_state(tmp_path, simple_net, simple_net_config):
    with pytest.raises(TrainingStateError, match=r"no place for epoch; save as \.pt"):
        save_checkpoint(
            tmp_path / "x.safetensors",
            simple_net,
            architecture="simple_net",
            config=simple_net_config,
            epoch=1,
        )
    assert not (tmp_path / "x.safetensors").exists()


def test_training_state_that_would_need_code_is_refused(tmp_path, simple_net, simple_net_config):
    optimizer = torch.optim.SGD(simple_net.parameters())
    optimizer.param_groups[0]["schedule"] = print
    with pytest.raises(
        TrainingStateError, match=r"optimizer_state_dict\.param_groups\[0\]\.schedule: a builtins"
    ):
        save_checkpoint(
            tmp_path / "x.pt",
            simple_net,
            architecture="simple_net",
            config=simple_net_config,
            optimizer=optimizer,
        )


def test_random_numbers_that_another_trainer_saved_are_refused():
    state = TrainingState(rng_state={"torch": [1, 2]})
    with pytest.raises(TrainingStateError, match="restore with rng=False"):
        state.restore()
    state.restore(rng=False)
