"""Sparse and nested tensors: as they were, or refused where their parts do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from statehouse.models.errors import CheckpointError
from statehouse.models.storage.containers import read_torch
from statehouse.models.storage.inert.compressed_tensors import jagged, nested, sparse
from statehouse.models.storage.inert.views import UnsoundTensorError

EYE = torch.eye(4)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    "make",
    [
        EYE.to_sparse,
        lambda: EYE.to_sparse().coalesce(),
        EYE.to_sparse_csr,
        EYE.to_sparse_csc,
        lambda: EYE.to_sparse_bsr((2, 2)),
        lambda: EYE.to_sparse_bsc((2, 2)),
    ],
    ids=["coo", "coalesced", "csr", "csc", "bsr", "bsc"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_sparse_tensors_of_every_layout(
    tmp_path: Path, make: Callable[[], torch.Tensor], zipped: bool
) -> None:
    made = make()
    torch.save({"a": made}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    read = read_torch(tmp_path / "a.pt", torch.device("cpu"))["a"]
    assert read.layout == made.layout
    assert torch.equal(read.to_dense(), EYE)


def test_nested_tensors(tmp_path: Path) -> None:
    parts = [torch.arange(4.0).reshape(2, 2), torch.ones(3, 2)]
    torch.save({"a": torch.nested.nested_tensor(parts)}, tmp_path / "a.pt")
    read = read_torch(tmp_path / "a.pt", torch.device("cpu"))["a"]
    assert all(torch.equal(own, part) for own, part in zip(read.unbind(), parts, strict=True))


def test_jagged_tensors_are_read_as_nested_ones(tmp_path: Path) -> None:
    parts = [torch.arange(4.0).reshape(2, 2), torch.ones(3, 2)]
    torch.save({"a": torch.nested.nested_tensor(parts, layout=torch.jagged)}, tmp_path / "a.pt")
    read = read_torch(tmp_path / "a.pt", torch.device("cpu"))["a"]
    assert all(torch.equal(own, part) for own, part in zip(read.unbind(), parts, strict=True))


@pytest.mark.parametrize(
    "fields",
    [
        {"offsets": torch.tensor([0, 9])},
        {"offsets": torch.tensor([0, 1, -1])},
        {"offsets": torch.tensor([-1, 2])},
        {"offsets": torch.tensor([3, 1])},
        {"offsets": torch.tensor([0.0, 1.0])},
        {"offsets": torch.tensor([[0, 1]])},
        {"offsets": torch.tensor([0, 1]), "lengths": torch.tensor([1, 1])},
        {"offsets": torch.tensor([0, 1]), "lengths": torch.tensor([5])},
        {"offsets": torch.tensor([0, 1]), "_ragged_idx": 2},
        {"offsets": torch.tensor([0, 1]), "values": torch.tensor(1.0)},
        {"offsets": None},
    ],
)
def test_jagged_parts_beyond_the_values_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises((UnsoundTensorError, TypeError, RuntimeError)):
        jagged({"values": torch.ones(3, 2), "lengths": None, **fields})


INDICES, VALUES = torch.tensor([[0, 5]]), torch.ones(2)


@pytest.mark.parametrize(
    ("layout", "data"),
    [
        (torch.sparse_coo, (INDICES, VALUES, (3,), True)),
        (torch.sparse_coo, (INDICES, VALUES, (-3,), True)),
        (torch.sparse_coo, (INDICES, "values", (3,), True)),
        (torch.sparse_coo, (INDICES,)),
        (torch.sparse_csr, (torch.tensor([0, 9]), torch.tensor([0]), torch.ones(1), (1, 1))),
        (torch.strided, (INDICES, VALUES, (3,))),
        ("text", ()),
    ],
)
def test_indices_beyond_the_size_are_refused(layout: object, data: object) -> None:
    with pytest.raises(Exception, match=r".") as caught:
        sparse(layout, data)
    assert not isinstance(caught.value, CheckpointError)  # the table that calls it says UnsoundTensorError


def table(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64)


@pytest.mark.parametrize(
    ("sizes", "strides", "offsets"),
    [
        (table([5]), table([1]), table(0)),
        (table([2]), table([1]), table(3)),
        (table([2]), table([9]), table(0)),
        (table([-1]), table([1]), table(0)),
        (table([1]), table([1]), table(-1)),
        (table([1]), table([1, 1]), table(0)),
        (table([1]), table([1]), table(0, 0)),
        (torch.ones(1, 1), table([1]), table(0)),
        ("text", table([1]), table(0)),
    ],
)
def test_parts_beyond_the_buffer_are_refused(sizes: object, strides: object, offsets: object) -> None:
    with pytest.raises(Exception, match=r"nested|declares"):
        nested(torch.zeros(4), sizes, strides, offsets)
