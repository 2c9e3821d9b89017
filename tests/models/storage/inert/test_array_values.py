"""NumPy's values through pickles, of both names of its module."""

from __future__ import annotations

import pickle

import numpy
import pytest
import torch

from statehouse.models.storage.inert.array_values import FINISH, REBUILD, dtype_name
from statehouse.models.storage.inert.plain_values import REBUILD as PLAIN
from statehouse.models.storage.inert.record import Record
from statehouse.models.storage.inert.unpickler import Unpickler


def read(held: object, protocol: int = 2, *, old_name: bool = False) -> object:
    data = pickle.dumps(held, protocol=protocol)
    if old_name:
        assert b"numpy._core" in data
        data = data.replace(b"numpy._core", b"numpy.core")
    return Unpickler(data, rebuild=PLAIN | REBUILD, finish=FINISH).load()


@pytest.mark.parametrize("old_name", [True, False])
@pytest.mark.parametrize(
    "scalar",
    [
        numpy.float32(1.5),
        numpy.int64(-3),
        numpy.bool_(True),
        numpy.complex64(1j),
        numpy.str_("ab"),
        numpy.float16(2),
    ],
)
def test_scalars_are_pythons_own(scalar: numpy.generic, old_name: bool) -> None:
    again = read(scalar, old_name=old_name)
    assert again == scalar.item()
    assert type(again) is type(scalar.item())


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(6.0).reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        numpy.arange(3, dtype=">i4"),
        numpy.array(3.0),
        numpy.zeros((0, 3)),
        numpy.array([True, False]),
        numpy.arange(3, dtype="u2"),
        numpy.arange(200, dtype="u1"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_numbers_are_tensors(array: numpy.ndarray, protocol: int) -> None:
    again = read([array, array], protocol)
    assert isinstance(again[0], torch.Tensor)
    assert again[0] is again[1]
    assert list(again[0].shape) == list(array.shape)
    assert again[0].tolist() == array.tolist()
    assert again[0].numpy().dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    "array",
    [
        numpy.array([1, "a", None], dtype=object),
        numpy.array([[1, "a"], [None, 2]], dtype=object),
        numpy.array(["ab", "c"]),
        numpy.array([b"ab", b"c"]),
    ],
    ids=str,
)
def test_other_arrays_are_lists(array: numpy.ndarray) -> None:
    assert read(array) == array.tolist()


@pytest.mark.parametrize(
    "held", [numpy.datetime64("2026-01-01"), numpy.zeros(2, dtype="i4,f4"), numpy.longdouble(1)]
)
def test_what_has_no_plain_value_is_a_record(held: object) -> None:
    assert isinstance(read(held), Record)


def test_a_dtype_has_its_name() -> None:
    assert dtype_name(read(numpy.dtype("float32"))) == "float32"
    assert dtype_name(Record("numpy.dtype", ("V8",))) is None
    assert dtype_name(Record("numpy.dtype")) is None


def array_of(shape: object, code: str, content: object) -> object:
    dtype = Record("numpy.dtype", (code,), state=(3, "<", None, None, None, -1, -1, 0))
    made = Unpickler(pickle.dumps(numpy.zeros(1)), rebuild=PLAIN | REBUILD).load()
    made.state = (1, shape, dtype, False, content)
    return FINISH["numpy.core.multiarray._reconstruct"](made)


@pytest.mark.parametrize(
    ("shape", "code", "content"),
    [
        ((2,), "f4", bytes(4)),
        ((2**40, 2**40), "f4", bytes(4)),
        ((-1,), "f4", b""),
        ((10**9,) * 3, "S0", b""),
        ((10**9,), "U0", b""),
        ((1,) * 40, "f4", bytes(4)),
        ((2,), "O", [1]),
        ((10**9,) * 3, "O", []),
        ((1,), "f99", bytes(99)),
        ((1,), "f4", 7),
        ("a", "f4", bytes(4)),
        ((1.0,), "f4", bytes(4)),
    ],
)
def test_what_the_bytes_do_not_hold_stays_a_record(shape: object, code: str, content: object) -> None:
    assert array_of(shape, code, content) is None
