"""What all tasks share of their steps."""

import numpy as np
import pytest
import torch

from statehouse.handlers.errors import ModuleMismatchError, UnsupportedMediaError
from statehouse.handlers.pipeline.task_contract import MAX_DECODED_BYTES, MAX_ROWS, TaskContract
from statehouse.handlers.request import Part


@pytest.fixture
def steps():
    """The shared part alone: whatever a task has to say itself is left out."""
    kind = type("Steps", (TaskContract,), dict.fromkeys(TaskContract.__abstractmethods__))
    made = kind()
    made.device, made.dtype = torch.device("cpu"), torch.float64
    made.row_shape, made.row_dtype = (4,), np.dtype("f4")
    return made


def test_a_task_says_all_that_is_its_own():
    with pytest.raises(TypeError, match="abstract method"):
        TaskContract()


@pytest.mark.parametrize(
    ("shape", "dtype", "limit"),
    [
        ((4,), "f4", MAX_ROWS),
        ((3, 1024, 1024), "u1", MAX_DECODED_BYTES // (3 * 2**20)),
        ((3, 1024, 1024), "f4", MAX_DECODED_BYTES // (12 * 2**20)),
        ((2**30,), "f4", 1),
        ((), "O", MAX_ROWS),
    ],
)
def test_a_request_has_as_many_rows_as_memory_bears(steps, shape, dtype, limit):
    steps.row_shape, steps.row_dtype = shape, np.dtype(dtype)
    assert steps.row_limit == limit


def test_numbers_go_to_the_device_as_the_module_computes_and_ids_as_they_are(steps):
    assert steps.to_device(np.zeros(2, np.float32)).dtype is torch.float64
    assert steps.to_device(np.zeros(2, np.int32)).dtype is torch.int32


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float64, np.float64),
        (torch.float32, np.float32),
        (torch.float16, np.float32),
        (torch.bfloat16, np.float32),
        (torch.float8_e4m3fn, np.float32),
        (torch.int8, np.int8),
        (torch.bool, np.bool_),
    ],
)
def test_numpy_gets_what_it_has(steps, dtype, expected):
    array = steps.to_array(torch.tensor([0.0, 1.0]).to(dtype))
    assert array.dtype == expected
    assert array.tolist() == [0, 1]


def test_an_array_lies_in_memory_in_its_own_order(steps):
    assert steps.to_array(torch.arange(6.0).reshape(2, 3).T).flags.c_contiguous


def test_complex_numbers_have_no_form_of_answer(steps):
    with pytest.raises(ModuleMismatchError, match=r"the module gives complex64; .*view_as_real\(output\)"):
        steps.to_array(torch.zeros(1, dtype=torch.complex64))


def test_several_parts_are_no_row_unless_a_task_says_so(steps):
    with pytest.raises(UnsupportedMediaError, match="The body has 2 parts; expected exactly one"):
        steps.row_from_parts({"a": Part(b"1"), "b": Part(b"2")})


def test_a_module_stays_as_it_is_and_gets_its_input_as_it_is(steps):
    module = torch.nn.Identity()
    assert steps.wrap(module) is module
    assert steps.module_input(module) is module
