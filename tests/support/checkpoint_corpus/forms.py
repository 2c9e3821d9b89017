"""What people put into `torch.save`: a state_dict alone, with others, or the whole object."""

from __future__ import annotations

import random
from collections import OrderedDict

import numpy as np
import torch
from tests.support.checkpoint_corpus.nets import Buffered, Tied, fill, filled, net, numbers, stepped
from tests.support.checkpoint_corpus.registry import saved
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def training() -> dict[str, object]:
    """Return what most tutorials save."""
    module = net()
    optimizer = stepped(module)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    return {
        "epoch": 3,
        "model_state_dict": module.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": scheduler.state_dict(),
        "loss": 0.25,
    }


def averaged(ema: bool) -> AveragedModel:
    """Return an average of two networks' weights, filled."""
    module = net()
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.5) if ema else None)
    average.update_parameters(module)
    return filled(average)


def random_states() -> dict[str, object]:
    """Return every generator's state beside the weights."""
    random.seed(7)
    generator = np.random.RandomState(7)
    return {
        "model": net().state_dict(),
        "torch_rng": torch.Generator().manual_seed(7).get_state(),
        "numpy_rng": generator.get_state(),
        "python_rng": random.getstate(),
        "cuda_rng": [],
    }


def scheduler_with_lambda() -> object:
    """Return a whole optimizer and a whole scheduler, as objects."""
    optimizer = stepped(net(), torch.optim.AdamW)
    return {"optimizer": optimizer, "scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)}


saved("bare_state_dict", lambda: net().state_dict())
saved("plain_dict_of_tensors", lambda: dict(net().state_dict()))
saved("training_checkpoint", training, suffix=".ckpt")
saved("model_and_optimizer", lambda: {"model": net().state_dict(), "optimizer": stepped(net()).state_dict()})
saved(
    "state_dict_key",
    lambda: {"state_dict": net().state_dict(), "best_acc1": 71.5, "arch": "net"},
    suffix=".pth.tar",
)
saved("several_optimizers", lambda: {
    "generator": net().state_dict(), "discriminator": net(1).state_dict(),
    "optimizers": [stepped(net()).state_dict(), stepped(net(1), torch.optim.SGD).state_dict()],
})  # fmt: skip
saved("optimizer_alone", lambda: stepped(net()).state_dict())
saved("optimizer_object", lambda: stepped(net(), torch.optim.SGD), suffix=".pkl")
saved("optimizer_and_scheduler_objects", scheduler_with_lambda)
saved("grad_scaler", lambda: {
    "model": net().state_dict(),
    "scaler": torch.amp.GradScaler("cpu").state_dict(), "scaler_object": torch.amp.GradScaler("cpu"),
})  # fmt: skip
saved("random_states", random_states)
saved("whole_module", net, suffix=".pth")
saved(
    "whole_sequential",
    lambda: filled(nn.Sequential(OrderedDict(a=nn.Linear(3, 4), b=nn.ReLU(), c=nn.Linear(4, 2)))),
)
saved("whole_module_training", lambda: filled(net().train()))
saved("whole_tied_module", lambda: filled(Tied()))
saved("tied_state_dict", lambda: filled(Tied()).state_dict())
saved("buffers_and_lists", lambda: filled(Buffered()))
saved("module_in_checkpoint", lambda: {"net": net(), "epoch": 2, "loss": [0.5, 0.25]})
saved("half_module_like_yolo", lambda: {
    "epoch": -1, "best_fitness": np.float64(0.5), "model": net().half(), "ema": None, "updates": 12,
    "optimizer": None, "train_args": {"imgsz": 640, "data": "coco.yaml"}, "date": "2024-01-01T00:00:00",
})  # fmt: skip
saved("dict_of_modules", lambda: {"encoder": net(), "decoder": filled(nn.Linear(3, 5)), "names": ["a", "b"]})
saved("list_of_state_dicts", lambda: [net().state_dict(), net(2).state_dict()])
saved("tuple_of_model_and_epoch", lambda: (net().state_dict(), 7))
saved("deeply_nested", lambda: {"run": {"best": {"fold": [{"weights": {"net": net().state_dict()}}]}}})
saved("ema_beside", lambda: {"model": net().state_dict(), "model_ema": averaged(ema=True).state_dict()})
saved("swa_averaged_model", lambda: averaged(ema=False))
saved("single_tensor", lambda: numbers(4, 5))
saved("list_of_tensors", lambda: [numbers(2, 3), numbers(4, dtype=torch.float16), numbers(1).long()])
saved("lstm_module", lambda: filled(nn.LSTM(3, 4, num_layers=2, bidirectional=True)))
saved("transformer_module", lambda: filled(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)))
saved("weight_norm_old", lambda: filled(nn.utils.weight_norm(nn.Linear(3, 4))).state_dict())
saved("weight_norm_new", lambda: filled(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))).state_dict())
saved("spectral_norm", lambda: filled(nn.utils.spectral_norm(nn.Linear(3, 4))))
saved("lbfgs_state", lambda: _lbfgs())


def _lbfgs() -> dict[str, object]:
    module = net()
    optimizer = torch.optim.LBFGS(module.parameters(), lr=0.5, max_iter=1)
    optimizer.step(lambda: sum(parameter.sum() for parameter in module.parameters()))
    state = optimizer.state_dict()
    fill(state)
    for held in state["state"].values():
        held.update({"prev_loss": 0.5, "t": 0.5} if "prev_loss" in held else {})
    return {"net": module.state_dict(), "optimizer": state}
