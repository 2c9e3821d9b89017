"""How much faster a module is frozen: a ratio, or nought."""

import torch
from torch import nn

from handlers.base import handler_of
from handlers.speedup import frozen_speedup
from models import TensorTask, build_model

NETWORK = {"input_size": 6, "hidden_size": 5, "num_classes": 3}


class Undecided(nn.Module):
    """Computes one thing or another, by what it is given."""

    def forward(self, x):
        return x * 2 if bool(x[-1].sum() > 0) else x * 3


def handler_with(module):
    handler = handler_of("tensor")()
    handler.task = TensorTask(input_shape=[6])
    handler.take(module, None, torch.device("cpu"))
    return handler


def test_it_is_a_ratio_and_leaves_the_module_and_the_threads_as_they_were():
    module = build_model("simple_net", NETWORK)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    handler, threads = handler_with(module), torch.get_num_threads()
    assert 0.01 < frozen_speedup(handler) < 100
    assert handler.module is module
    assert torch.get_num_threads() == threads
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_what_cannot_be_frozen_is_told_by_nought():
    threads = torch.get_num_threads()
    assert frozen_speedup(handler_with(Undecided())) == 0
    assert torch.get_num_threads() == threads


def test_one_that_is_slower_frozen_is_told_so():
    class Slow(nn.Module):
        def forward(self, x):
            return x + 1

    handler = handler_with(Slow())

    class Slower(nn.Module):
        def forward(self, x):
            for _ in range(2000):
                torch.add(x, 1)
            return x + 1

    handler.optimized = lambda optimizations: Slower()
    assert frozen_speedup(handler) < 0.5
