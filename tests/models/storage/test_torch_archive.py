from __future__ import annotations

import os
import pickle
import zipfile
from collections import Counter, OrderedDict

import pytest
import torch
from torch import nn

from statehouse.models.errors import CheckpointUnreadableError, CheckpointUnsafeError
from statehouse.models.storage.torch_archive import check_archive, damaged_records


class Evil:
    def __reduce__(self):
        return (os.system, ("touch statehouse-was-here",))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.pt"
    torch.save({"a": torch.arange(6.0).reshape(2, 3), "plain": {"x": [1, "y", None, True, 2.5]}}, path)
    return path


def test_sizes_of_the_tensor_records_are_returned(saved):
    assert 24 in check_archive(saved)


def test_everything_that_plain_data_and_tensors_need_passes(tmp_path):
    held = {
        "parameter": nn.Parameter(torch.ones(2)),
        "dtypes": [torch.zeros(1, dtype=getattr(torch, name)) for name in ("uint16", "float8_e5m2", "bool")],
        "bytes": b"x",
        "shape": torch.Size([1]),
        "dtype": torch.float32,
        "ordered": OrderedDict(a=1),
        "counter": Counter("abca"),
        "set": {1, 2},
    }
    torch.save(held, tmp_path / "x.pt")
    check_archive(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("held", "named"),
    [
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"model": nn.Sequential(nn.ReLU())}, "torch.nn.modules.container.Sequential"),
        ({"a": Evil()}, "posix.system"),
        ({"a": torch.eye(2).to_sparse()}, "torch._utils._rebuild_sparse_tensor"),
        ({"a": torch.empty(2, device="meta")}, "torch._utils._rebuild_meta_tensor_no_storage"),
        ({"a": bytearray(3)}, "bytearray"),
    ],
)
def test_a_pickle_that_names_code_is_refused_by_name(tmp_path, held, named):
    torch.save(held, tmp_path / "x.pt")
    with pytest.raises(CheckpointUnsafeError) as caught:
        check_archive(tmp_path / "x.pt")
    assert named in str(caught.value)
    assert 'torch.save({"model_state_dict": model.state_dict(), "model_config": {...}}, path)' in str(
        caught.value
    )


def test_all_names_are_reported_at_once(tmp_path):
    torch.save([Evil(), nn.ReLU()], tmp_path / "x.pt")
    with pytest.raises(CheckpointUnsafeError, match=r"posix\.system, torch\.nn.*ReLU"):
        check_archive(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "x.pt")
    with pytest.raises(CheckpointUnsafeError, match="TorchScript archive, which holds code"):
        check_archive(tmp_path / "x.pt")


def test_deflated_records_are_refused(saved, tmp_path, rewrite_archive):
    bomb = rewrite_archive(
        saved,
        tmp_path / "bomb.pt",
        compression=zipfile.ZIP_DEFLATED,
        extra={"saved/data/1": bytes(10_000_000)},
    )
    assert bomb.stat().st_size < 20_000
    with pytest.raises(CheckpointUnreadableError, match="record 'saved/data/1' is compressed"):
        check_archive(bomb)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("record", "expected"),
    [("saved/data/0", "'saved/data/0' is there 2 times"), ("other/data.pkl", "expected one record data.pkl")],
)
def test_ambiguous_records_are_refused(saved, tmp_path, rewrite_archive, record, expected):
    ambiguous = rewrite_archive(saved, tmp_path / "x.pt", extra={record: b"x"})
    with pytest.raises(CheckpointUnreadableError, match=expected):
        check_archive(ambiguous)


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointUnreadableError, match=r"expected one record data\.pkl"):
        check_archive(tmp_path / "x.pt")


def test_records_that_declare_more_than_the_file_has_are_refused(saved, tmp_path):
    data = saved.read_bytes()
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"saved/data/0"))  # in the central directory
    huge = bytearray(data)
    huge[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2
    (tmp_path / "x.pt").write_bytes(huge)
    with pytest.raises(CheckpointUnreadableError, match="declare more bytes than the file has"):
        check_archive(tmp_path / "x.pt")


def test_a_pickle_of_another_protocol_cannot_hide_a_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(Evil(), protocol=4))
    with pytest.raises(CheckpointUnsafeError, match="protocol"):
        check_archive(tmp_path / "x.pt")


def test_damaged_records_are_named(saved):
    assert damaged_records(saved) == []
    data = bytearray(saved.read_bytes())
    data[data.index(torch.arange(6.0).numpy().tobytes()) + 5] ^= 1
    saved.write_bytes(data)
    (damage,) = damaged_records(saved)
    assert "record 'saved/data/0': Bad CRC-32" in damage
