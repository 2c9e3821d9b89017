"""What torch.save writes is read as it was, by both containers and every protocol of pickle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from statehouse.models.storage.containers import read_torch
from statehouse.models.storage.inert.record import Record

BASE = torch.randn(6, 5)
COMPLEX = torch.randn(3, dtype=torch.complex64)


class Subclass(torch.Tensor):
    pass


def with_an_attribute() -> torch.Tensor:
    tensor = torch.ones(2)
    tensor.note = "theirs"
    return tensor


MAKE: dict[str, Any] = {
    "views": lambda: {"whole": BASE, "part": BASE[2:4], "turned": BASE.t(), "column": BASE[:, 1]},
    "few": lambda: {"scalar": torch.tensor(7), "none": torch.zeros(0), "no rows": torch.zeros(0, 3)},
    "expanded": lambda: {"a": torch.ones(1).expand(70_000)},
    "parameter": lambda: {
        "a": nn.Parameter(torch.ones(2)),
        "b": nn.Parameter(torch.ones(2), requires_grad=False),
    },
    "dtypes": lambda: {
        name: torch.ones(3).to(getattr(torch, name))
        for name in (
            "float16",
            "bfloat16",
            "float64",
            "int8",
            "uint8",
            "int64",
            "bool",
            "complex64",
            "complex128",
        )
    },
    "newer dtypes": lambda: {
        name: torch.ones(3).to(getattr(torch, name))
        for name in ("uint16", "uint32", "uint64", "float8_e4m3fn")
    },
    "conjugated": lambda: {"conjugated": COMPLEX.conj()},
    "negated": lambda: {"negated": COMPLEX.conj().imag},
    "subclass": lambda: {"a": torch.ones(3).as_subclass(Subclass), "b": with_an_attribute()},
    "module's": lambda: dict(nn.LSTM(3, 4, num_layers=2).state_dict()),
}


def save(path: Path, held: object, *, zipped: bool = True, protocol: int = 2) -> Path:
    torch.save(held, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    return path


@pytest.fixture(params=[True, False], ids=["zip", "old"])
def zipped(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", MAKE)
def test_tensors_are_as_they_were(tmp_path: Path, zipped: bool, protocol: int, kind: str) -> None:
    made = MAKE[kind]()
    read = read_torch(save(tmp_path / "a.pt", made, zipped=zipped, protocol=protocol), torch.device("cpu"))
    assert list(read) == list(made)
    for name, tensor in made.items():
        again = read[name]
        assert (again.dtype, again.shape, again.stride()) == (tensor.dtype, tensor.shape, tensor.stride())
        assert again.requires_grad == tensor.requires_grad
        assert isinstance(again, nn.Parameter) == isinstance(tensor, nn.Parameter)
        assert again.tolist() == tensor.tolist()


def test_views_share_their_storage_and_ties_their_tensor(tmp_path: Path, zipped: bool) -> None:
    held = {"whole": BASE, "part": BASE[2:], "again": BASE, "parameter": nn.Parameter(BASE)}
    read = read_torch(save(tmp_path / "a.pt", held, zipped=zipped), torch.device("cpu"))
    assert read["again"] is read["whole"]
    assert read["part"].untyped_storage().data_ptr() == read["whole"].untyped_storage().data_ptr()
    assert read["parameter"].data_ptr() == read["whole"].data_ptr()


def test_the_metadata_of_a_state_dict_are_kept(tmp_path: Path, zipped: bool) -> None:
    state = nn.Sequential(nn.BatchNorm1d(3)).state_dict()
    read = read_torch(save(tmp_path / "a.pt", state, zipped=zipped), torch.device("cpu"))
    assert read._metadata == state._metadata


@pytest.mark.parametrize("protocol", range(6))
def test_a_module_is_a_record_of_its_tree(tmp_path: Path, zipped: bool, protocol: int) -> None:
    linear = nn.Linear(2, 3)
    held = {"model": nn.Sequential(linear), "args": argparse.Namespace(lr=0.1)}
    path = save(tmp_path / "a.pt", held, zipped=zipped, protocol=protocol)
    read = read_torch(path, torch.device("cpu"))
    assert isinstance(read["model"], Record)
    assert read["model"].name == "torch.nn.modules.container.Sequential"
    parameters = read["model"].attributes()["_modules"]["0"].attributes()["_parameters"]
    assert torch.equal(parameters["weight"], linear.weight)
    assert read["args"].attributes() == {"lr": 0.1}


def test_on_meta_no_byte_is_read(tmp_path: Path, zipped: bool) -> None:
    read = read_torch(save(tmp_path / "a.pt", {"a": BASE}, zipped=zipped), torch.device("meta"))
    assert read["a"].is_meta
    assert read["a"].shape == (6, 5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_tensors_are_there(tmp_path: Path, zipped: bool) -> None:
    read = read_torch(
        save(tmp_path / "a.pt", {"a": BASE, "b": BASE[1:]}, zipped=zipped), torch.device("cuda")
    )
    assert read["a"].is_cuda
    assert torch.equal(read["a"].cpu(), BASE)
    assert read["b"].untyped_storage().data_ptr() == read["a"].untyped_storage().data_ptr()
