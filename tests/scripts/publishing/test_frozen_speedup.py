"""How much faster a module is frozen."""

import pytest
import torch
from torch import nn

from statehouse.handlers.base import handler_of
from statehouse.handlers.errors import OptimizationError
from statehouse.models import TensorTask, build_model
from statehouse.scripts.publishing import frozen_speedup as speedup
from statehouse.scripts.publishing.frozen_speedup import frozen_speedup

NETWORK = {"input_size": 6, "hidden_size": 5, "num_classes": 3}


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


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
    handler = handler_with(module)
    seen = []
    handler.optimized = lambda ways: (
        seen.append(torch.get_num_threads()) or type(handler).optimized(handler, ways)
    )
    assert 0.01 < frozen_speedup(handler) < 100
    assert handler.module is module
    assert (seen, torch.get_num_threads()) == ([1], 2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_what_cannot_be_frozen_says_why_and_leaves_the_threads():
    with pytest.raises(OptimizationError, match="decides in Python"):
        frozen_speedup(handler_with(Undecided()))
    assert torch.get_num_threads() == 2


def test_what_takes_long_is_not_measured(monkeypatch):
    monkeypatch.setattr(speedup, "MOST_ROW_SECONDS", 0)
    assert frozen_speedup(handler_with(build_model("simple_net", NETWORK))) is None


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
