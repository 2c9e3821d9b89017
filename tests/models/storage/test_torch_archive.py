from __future__ import annotations

import os
import pickle
import zipfile

import pytest
import torch
from torch import nn

from statehouse.models.errors import CheckpointUnreadableError, CheckpointUnsafeError
from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.torch_archive import damaged_records, read_archive


class Evil:
    def __reduce__(self):
        return (os.system, ("touch statehouse-was-here",))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.pt"
    torch.save({"a": torch.arange(6.0).reshape(2, 3), "plain": {"x": [1, "y", None, True, 2.5]}}, path)
    return path


def read(path):
    return read_archive(path, torch.device("cpu"))


def test_what_was_saved_is_read(saved):
    held = read(saved)
    assert held["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert held["plain"] == {"x": [1, "y", None, True, 2.5]}


def test_a_module_and_what_would_run_are_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": nn.Sequential(nn.Linear(2, 2)), "evil": Evil()}, "x.pt")
    held = read(tmp_path / "x.pt")
    assert held["model"].name == "torch.nn.modules.container.Sequential"
    (linear,) = held["model"].attributes()["_modules"].values()
    assert list(linear.attributes()["_parameters"]) == ["weight", "bias"]
    assert isinstance(linear.attributes()["_parameters"]["weight"], nn.Parameter)
    assert (held["evil"].name, held["evil"].arguments) == ("posix.system", ("touch statehouse-was-here",))
    assert [each.name for each in tmp_path.iterdir()] == ["x.pt"]


@pytest.mark.parametrize("order", ["little", "big"])
def test_the_byte_order_is_that_of_the_record(tmp_path, order):
    values = torch.arange(3.0)
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        torch.save({"a": values, "h": values.half()}, tmp_path / "y.pt")
        with zipfile.ZipFile(tmp_path / "y.pt") as little:
            archive.writestr("x/data.pkl", little.read("y/data.pkl"))
        archive.writestr("x/byteorder", order)
        swapped = values.numpy().astype("<f4" if order == "little" else ">f4").tobytes()
        archive.writestr("x/data/0", swapped)
        archive.writestr("x/data/1", values.numpy().astype("<f2" if order == "little" else ">f2").tobytes())
    held = read(tmp_path / "x.pt")
    assert torch.equal(held["a"], values)
    assert torch.equal(held["h"], values.half())


def test_another_byte_order_is_refused(saved, tmp_path, rewrite_archive):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive, zipfile.ZipFile(saved) as whole:
        archive.writestr("x/data.pkl", whole.read("saved/data.pkl"))
        archive.writestr("x/byteorder", b"middle")
    with pytest.raises(DamagedPickleError, match="neither little nor big"):
        read(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "x.pt")
    with pytest.raises(CheckpointUnsafeError, match="TorchScript archive, which holds code"):
        read(tmp_path / "x.pt")


def test_deflated_records_are_refused(saved, tmp_path, rewrite_archive):
    bomb = rewrite_archive(
        saved,
        tmp_path / "bomb.pt",
        compression=zipfile.ZIP_DEFLATED,
        extra={"saved/data/1": bytes(10_000_000)},
    )
    assert bomb.stat().st_size < 20_000
    with pytest.raises(CheckpointUnreadableError, match="record 'saved/data/1' is compressed"):
        read(bomb)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("record", "expected"),
    [("saved/data/0", "'saved/data/0' is there 2 times"), ("other/data.pkl", "expected one record data.pkl")],
)
def test_ambiguous_records_are_refused(saved, tmp_path, rewrite_archive, record, expected):
    ambiguous = rewrite_archive(saved, tmp_path / "x.pt", extra={record: b"x"})
    with pytest.raises(CheckpointUnreadableError, match=expected):
        read(ambiguous)


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointUnreadableError, match=r"expected one record data\.pkl"):
        read(tmp_path / "x.pt")


def test_records_that_declare_more_than_the_file_has_are_refused(saved, tmp_path):
    data = saved.read_bytes()
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"saved/data/0"))  # in the central directory
    huge = bytearray(data)
    huge[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2
    (tmp_path / "x.pt").write_bytes(huge)
    with pytest.raises(CheckpointUnreadableError, match="declare more bytes than the file has"):
        read(tmp_path / "x.pt")


def test_a_pickle_of_another_protocol_is_read_as_any(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(Evil(), protocol=4))
    assert read(tmp_path / "x.pt").name == "posix.system"


def test_damaged_records_are_named(saved):
    assert damaged_records(saved) == []
    data = bytearray(saved.read_bytes())
    data[data.index(torch.arange(6.0).numpy().tobytes()) + 5] ^= 1
    saved.write_bytes(data)
    (damage,) = damaged_records(saved)
    assert "record 'saved/data/0': Bad CRC-32" in damage
