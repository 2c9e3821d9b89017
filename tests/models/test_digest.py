from __future__ import annotations

import hashlib

import pytest
import torch

from statehouse.models.digest import compute_digest

SAID = {"architecture": "a", "config": {"y": 1, "x": [2.5]}, "task": "tensor", "task_config": {}}


def test_the_digest_is_over_the_bytes_that_its_docstring_says():
    state_dict = {"b": torch.tensor([1, 2], dtype=torch.int16), "a": torch.tensor(1.0)}
    expected = (
        b'{"architecture":"a","config":{"x":[2.5],"y":1},"task":"tensor","task_config":{}}\n'
        b'["a","float32",[]]\n\x00\x00\x80\x3f'
        b'["b","int16",[2]]\n\x01\x00\x02\x00'
    )
    assert compute_digest(**SAID, state_dict=state_dict) == hashlib.sha256(expected).hexdigest()


def test_memory_layout_and_order_of_keys_have_no_part():
    matrix = torch.arange(6.0).reshape(2, 3)
    first = compute_digest(**SAID, state_dict={"a": matrix, "b": torch.ones(1)})
    second = compute_digest(**SAID, state_dict={"b": torch.ones(1), "a": matrix.t().contiguous().t()})
    assert first == second


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2, 1), torch.zeros(2, dtype=torch.int32), torch.tensor([0.0, -0.0]), torch.zeros(0)],
)
def test_shape_dtype_and_every_bit_have_a_part(tensor):
    zeros = compute_digest(**SAID, state_dict={"a": torch.zeros(2)})
    assert compute_digest(**SAID, state_dict={"a": tensor}) != zeros


@pytest.mark.parametrize("name", ["bool", "bfloat16", "float8_e4m3fn", "uint16", "complex64"])
def test_every_dtype_has_bytes(name):
    tensor = torch.zeros(3, dtype=getattr(torch, name))
    assert len(compute_digest(**SAID, state_dict={"a": tensor})) == 64


@pytest.mark.parametrize("field", list(SAID))
def test_everything_said_has_a_part(field):
    changed = {**SAID, field: None}
    assert compute_digest(**changed, state_dict={}) != compute_digest(**SAID, state_dict={})
