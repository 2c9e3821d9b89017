"""An answer is its row's alone, or the module is refused with the rows that differ and the usual causes."""

import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from statehouse.handlers.base import handler_of
from statehouse.handlers.errors import DependentRowsError
from statehouse.handlers.golden import Golden
from statehouse.handlers.row_proof import prove_rows, tolerance_of
from statehouse.models import Example, TensorTask

SIZES = (2, 3, 8, 32)


class Rowwise(nn.Module):
    """One layer, then what a subclass does with its outputs (rows, 5)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 5)

    def forward(self, x):
        return self.after(self.layer(x))

    def after(self, x):
        return x


class Normalised(Rowwise):
    def after(self, x):
        return functional.layer_norm(x, (5,))


class SoftmaxOverRows(Rowwise):
    def after(self, x):
        return x.softmax(dim=0)


class LessTheMean(Rowwise):
    def after(self, x):
        return x - x.mean(0)


class LargestOfRows(Rowwise):
    def after(self, x):
        return torch.maximum(x, x.amax(0) * 0.999)


class BatchStatistics(Rowwise):
    def after(self, x):
        return functional.batch_norm(x, None, None, training=True) if len(x) > 1 else x


class FirstRowDiffers(Rowwise):
    def after(self, x):
        return x + torch.arange(len(x)).eq(0).unsqueeze(1)


class LargeBatchesDiffer(Rowwise):
    def after(self, x):
        return x + (len(x) > 16)


class RowsOverTime(nn.Module):
    """A GRU that takes the batch for time."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.GRU(1, 5)

    def forward(self, x):
        return self.layer(x.unsqueeze(-1))[0][:, -1]


class Counting(Rowwise):
    """Keeps state between calls."""

    calls = 0

    def after(self, x):
        self.calls += 1
        return x + self.calls


class Dropping(Rowwise):
    def after(self, x):
        return functional.dropout(x, 0.5)


def handler_with(module: nn.Module, **config: object):
    handler = handler_of("tensor")()
    handler.task = TensorTask(**config)
    handler.take(module, (3,), torch.device("cpu"))
    return handler


GOLDEN = Golden(
    source="made", examples=[Example(content_type="application/json", body=b'{"inputs": [1, 2, 3]}')]
)


def prove(module: nn.Module, **config: object):
    return handler_with(module, **config).prove_rows(GOLDEN, SIZES, bound_seconds=60)


@pytest.mark.parametrize("module", [Rowwise, Normalised])
def test_what_looks_at_one_row_is_proved_in_every_company(module):
    proof = prove(module())
    assert (proof.rows, proof.sizes, proof.out_of_time) == (4, [2, 3, 8, 32], False)
    assert proof.largest_difference < proof.tolerance / 10
    assert (
        "4 rows answered alike alone, again, together, in reverse, in batches of 2, 3, 8, 32" in proof.told()
    )


@pytest.mark.parametrize(
    "module", [SoftmaxOverRows, LessTheMean, LargestOfRows, BatchStatistics, FirstRowDiffers, RowsOverTime]
)
def test_what_looks_at_others_is_refused_with_the_rows_and_the_causes(module):
    with pytest.raises(DependentRowsError) as caught:
        prove(module())
    *rows, causes, way_out = caught.value.problems
    assert all(row.startswith("row ") and "off by" in row for row in rows)
    assert "axis 0" in causes
    assert "rows_per_batch: 1" in way_out


def test_every_size_that_will_be_used_is_tried():
    with pytest.raises(DependentRowsError, match="in a batch of 32"):
        prove(LargeBatchesDiffer())


@pytest.mark.parametrize("module", [Counting, Dropping])
def test_what_changes_from_call_to_call_is_refused(module):
    with pytest.raises(DependentRowsError, match="dropout that does not stop") as caught:
        prove(module())
    assert "alone once more" in caught.value.problems[0]


@pytest.mark.parametrize("module", [SoftmaxOverRows, BatchStatistics, RowsOverTime])
def test_whoever_means_it_has_each_row_computed_alone(module):
    proof = prove(module(), rows_per_batch=1)
    assert proof.largest_difference == 0


def test_no_row_at_a_time_helps_against_state():
    with pytest.raises(DependentRowsError):
        prove(Counting(), rows_per_batch=1)


def test_an_answer_that_is_not_finite_in_company_is_another():
    class Poisoned(Rowwise):
        def after(self, x):
            return x if len(x) < 3 else x / 0

    with pytest.raises(DependentRowsError, match="off by inf"):
        prove(Poisoned())


def test_a_module_that_fails_in_company_is_refused():
    class Small(Rowwise):
        def after(self, x):
            if len(x) > 2:
                raise RuntimeError("only two")
            return x

    with pytest.raises(DependentRowsError, match="raised RuntimeError: only two") as caught:
        prove(Small())
    assert "usual causes" not in str(caught.value)


def test_memory_that_ends_is_no_dependence():
    class Large(Rowwise):
        def after(self, x):
            if len(x) > 8:
                raise MemoryError
            return x

    proof = prove(Large())
    assert (proof.sizes, proof.out_of_memory) == ([2, 3, 8], True)
    assert "no memory for larger ones" in proof.told()


def test_memory_that_is_short_for_a_few_rows_says_what_to_do():
    class Huge(Rowwise):
        def after(self, x):
            if len(x) > 2:
                raise MemoryError
            return x

    with pytest.raises(DependentRowsError, match="no memory to compute 4 rows at once"):
        prove(Huge())
    prove(Huge(), rows_per_batch=1)


def test_golden_examples_that_are_all_the_same_prove_as_much():
    golden = GOLDEN.model_copy(update={"examples": GOLDEN.examples * 9})
    with pytest.raises(DependentRowsError):
        handler_with(LessTheMean()).prove_rows(golden, (), bound_seconds=60)


def test_once_the_time_is_over_nothing_more_is_begun():
    class Slow(Rowwise):
        rows = 0

        def after(self, x):
            self.rows += len(x)
            time.sleep(0.002)
            return x

    module = Slow()
    handler = handler_with(module)
    before = module.rows
    proof = prove_rows(handler, np.eye(4, 3, dtype=np.float32), SIZES, bound_seconds=0)
    assert (proof.sizes, proof.out_of_time) == ([], True)
    assert module.rows - before == 4 + 1 + 4  # each alone, one of them again, all together
    assert "no time" in proof.told()


def test_less_precise_numbers_may_be_off_by_more():
    class Rounded(Rowwise):
        def after(self, x):
            return x * (1 + 1e-3 * (len(x) > 1))

    with pytest.raises(DependentRowsError):
        prove(Rounded())
    proof = prove(Rounded().bfloat16())
    assert proof.tolerance == 5e-2


def test_a_gpu_rounds_float32_more_and_nothing_else():
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert tolerance_of(torch.float32, gpu) > tolerance_of(torch.float32, cpu)
    assert tolerance_of(torch.bfloat16, gpu) == tolerance_of(torch.bfloat16, cpu)
