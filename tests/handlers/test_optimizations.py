import copy
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from statehouse.handlers.errors import GoldenMismatchError, OptimizationError
from statehouse.handlers.golden import GOLDEN_FILE, Golden, read_golden
from statehouse.handlers.optimizations import optimize
from statehouse.handlers.worker.settings import read_settings
from statehouse.models import ImageClassificationTask, TensorTask, build_model

CONVNET = {"in_channels": 3, "height": 16, "width": 16, "num_classes": 5, "channels": [8, 8]}
SIMPLE_NET = {"input_size": 6, "hidden_size": 5, "num_classes": 3}
MODELS = {"convnet": (CONVNET, (3, 16, 16)), "simple_net": (SIMPLE_NET, (6,))}
APPLIED = [("simple_net", ["freeze"]), ("convnet", ["freeze"]), ("convnet", ["channels_last"])]
APPLIED += [("convnet", ["freeze", "channels_last"])]


class Encoder(nn.Module):
    """A transformer encoder over token ids."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.embedding, self.layers = nn.Embedding(50, 8), nn.TransformerEncoder(layer, 2)

    def forward(self, tokens):
        return self.layers(self.embedding(tokens)).mean(1)


class Undecided(nn.Module):
    """Computes one thing or another, by what it is given."""

    def forward(self, x):
        return x * 2 if bool(x[-1].sum() > 0) else x * 3


class OfTwo(nn.Module):
    """Its operations are those for as many rows as it first saw."""

    def forward(self, x):
        return x.reshape(int(x.shape[0]), -1) + torch.zeros(x.shape[0], 1).expand(int(x.shape[0]), 4)


class Random(nn.Module):
    """Answers differently each time."""

    def forward(self, x):
        return x + torch.rand_like(x)


def built(name, shape, config):
    torch.manual_seed(0)
    module = build_model(name, config).eval().requires_grad_(False)
    for parameter in module.buffers():  # so that normalisation does something
        if parameter.is_floating_point():
            parameter.add_(torch.rand_like(parameter))
    return module, torch.rand(40, *shape)


def examples_of(private):
    return read_golden(Path(read_settings(private).version_folder, GOLDEN_FILE)).examples


@pytest.mark.parametrize(("name", "optimizations"), APPLIED)
def test_batches_of_any_size_are_answered_as_without(name, optimizations):
    config, shape = MODELS[name]
    module, rows = built(name, shape, config)
    plain = copy.deepcopy(module)
    optimized = optimize(module, rows[:3], optimizations)
    assert optimized is not module
    with torch.inference_mode():
        for count in (1, 2, 5, 32, 40, 7):
            torch.testing.assert_close(optimized(rows[:count]), plain(rows[:count]), rtol=1e-4, atol=1e-5)


def test_token_ids_are_frozen_too():
    torch.manual_seed(0)
    module, tokens = Encoder().eval().requires_grad_(False), torch.randint(0, 50, (9, 7))
    frozen = optimize(module, tokens[:3], ["freeze"])
    with torch.inference_mode():
        for count in (1, 4, 9):
            torch.testing.assert_close(frozen(tokens[:count]), module(tokens[:count]))


@pytest.mark.parametrize("module", [Undecided().eval(), OfTwo().eval()])
def test_what_decides_by_its_input_is_refused_rather_than_answered_wrongly(module):
    with pytest.raises(OptimizationError, match=r"decides in Python .*test_optimizations.py:\d+"):
        optimize(module, torch.ones(3, 4), ["freeze"])


class Cancelling(nn.Module):
    """Adds much and takes it away again: what remains is less than bfloat16 can hold beside it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return (x * self.weight + 4096) - 4096


class Mixing(nn.Module):
    """Has a float32 of its own, which is no parameter."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x) @ torch.eye(4)


@pytest.mark.parametrize("optimizations", [["bfloat16"], ["bfloat16", "freeze"], ["freeze", "bfloat16"]])
@pytest.mark.parametrize("name", MODELS)
def test_in_bfloat16_answers_keep_their_type_and_differ_by_little(name, optimizations):
    config, shape = MODELS[name]
    module, rows = built(name, shape, config)
    plain = copy.deepcopy(module)
    optimized = optimize(module, rows[:3], optimizations)
    weights = [each.dtype for each in optimized.parameters() if each.is_floating_point()]
    assert set(weights) <= {torch.bfloat16}
    with torch.inference_mode():
        for count in (1, 2, 5, 32):
            expected, answer = plain(rows[:count]), optimized(rows[:count])
            assert answer.dtype == torch.float32
            assert (answer - expected).abs().max() <= 0.05 * expected.abs().max()
            assert not torch.equal(answer, expected)


def test_token_ids_stay_whole_numbers_in_bfloat16():
    torch.manual_seed(0)
    module, tokens = Encoder().eval().requires_grad_(False), torch.randint(0, 50, (9, 7))
    expected = module(tokens)
    answer = optimize(module, tokens[:3], ["bfloat16", "freeze"])(tokens)
    assert (answer - expected).abs().max() <= 0.05 * expected.abs().max()


def test_what_bfloat16_changes_too_much_is_refused():
    with pytest.raises(
        OptimizationError, match=r"\['bfloat16'\] the module does not answer 1 rows as without"
    ):
        optimize(Cancelling().eval(), torch.rand(3, 4), ["bfloat16"])


def test_what_cannot_compute_in_bfloat16_says_so():
    with pytest.raises(OptimizationError, match=r"\['bfloat16'\] the module does not answer .*dtype"):
        optimize(Mixing().eval(), torch.rand(3, 4), ["bfloat16"])


class Comparing(nn.Module):
    """Asks for a bool, of which the tracer does not warn."""

    def forward(self, x):
        return x * 2 if torch.equal(x[:, 0], x[:, 1]) else x * 3


class Padding(nn.Module):
    """torch's own encoder looks whether all padding is at the end."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.embedding, self.layers = nn.Embedding(50, 8), nn.TransformerEncoder(layer, 2)

    def forward(self, tokens):
        return self.layers(self.embedding(tokens), src_key_padding_mask=tokens == 2).mean(1)


class Hushed(nn.Module):
    """Lets nobody hear the tracer."""

    def forward(self, x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x * 2 if bool(x.sum() > 0) else x * 3


@pytest.mark.parametrize(
    ("module", "rows"),
    [
        (Comparing(), torch.rand(3, 4)),
        (Padding(), torch.randint(3, 50, (3, 7))),
        (Hushed(), torch.rand(3, 4)),
    ],
)
def test_what_decides_without_a_warning_is_refused_too(module, rows):
    with pytest.raises(OptimizationError, match="decides in Python"):
        optimize(module.eval().requires_grad_(False), rows, ["freeze"])


def test_an_infinite_answer_does_not_make_every_other_right():
    class Masking(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self, x):
            answer = (x * self.weight + 4096) - 4096
            return torch.cat([answer, torch.full_like(answer, float("-inf"))], dim=1)

    with pytest.raises(OptimizationError, match="does not answer 1 rows as without"):
        optimize(Masking().eval(), torch.rand(3, 4), ["bfloat16"])


def test_what_does_not_answer_the_same_twice_is_refused():
    with pytest.raises(OptimizationError, match=r"does not answer 1 rows as without .*leave them out"):
        optimize(Random().eval(), torch.ones(3, 4), ["freeze"])


def test_an_optimisation_that_does_not_fit_says_which_and_why():
    module, rows = built("simple_net", (6,), SIMPLE_NET)
    with pytest.raises(OptimizationError, match=r"'channels_last' needs images .* takes \[3, 6\]"):
        optimize(module, rows[:3], ["channels_last"])


def test_elsewhere_than_on_a_cpu_it_is_refused():
    with pytest.raises(OptimizationError, match="are for CPUs, and this worker serves on meta"):
        optimize(nn.Linear(2, 2), torch.zeros(3, 2, device="meta"), ["freeze"])


@pytest.mark.parametrize(
    ("architecture", "config", "task", "optimizations"),
    [
        ("simple_net", SIMPLE_NET, TensorTask(), ["freeze"]),
        (
            "convnet",
            CONVNET,
            ImageClassificationTask(
                labels=list("abcde"), height=16, width=16, mode="rgb", mean=[0.5] * 3, std=[0.5] * 3
            ),
            ["channels_last", "freeze"],
        ),
    ],
)
def test_an_optimised_worker_proves_itself_by_the_same_golden_examples(
    make_version, load_worker, architecture, config, task, optimizations
):
    private = make_version(architecture, config, task, optimizations=optimizations)
    worker = load_worker(private, f"statehouse.handlers.{task.task}")
    module = worker.service._entry_point.__self__.module
    assert isinstance(module, torch.jit.ScriptModule)


def test_a_worker_in_bfloat16_is_held_to_the_tolerance_of_bfloat16(make_version, load_worker):
    private = make_version("simple_net", SIMPLE_NET, TensorTask(), optimizations=["bfloat16", "freeze"])
    handler = load_worker(private, "statehouse.handlers.tensor").service._entry_point.__self__
    assert handler.computed_in == torch.bfloat16
    with pytest.raises(GoldenMismatchError, match="cpu/bfloat16"):
        handler.check_golden(
            Golden(source="made", tolerances={"cpu/float32": 1.0}, examples=examples_of(private))
        )


def test_a_worker_whose_module_cannot_be_optimised_says_so(make_version, load_worker):
    private = make_version("simple_net", SIMPLE_NET, TensorTask(), optimizations=["channels_last"])
    with pytest.raises(RuntimeError, match="OptimizationError: optimization 'channels_last'"):
        load_worker(private, "statehouse.handlers.tensor")
