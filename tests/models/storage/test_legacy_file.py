"""Files of torch before 1.6: read as any other, after all that they declare has been compared with their bytes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from statehouse.models import load_checkpoint, save_checkpoint
from statehouse.models.checkpoint import verify_records
from statehouse.models.errors import (
    CheckpointContentError,
    CheckpointError,
    CheckpointUnreadableError,
)
from statehouse.models.storage.legacy_file import read_legacy


def write(path: Path, held: object) -> Path:
    torch.save(held, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    weight = torch.randn(6, 5)
    return {
        "weight": weight,
        "view": weight[2:4],
        "half": torch.randn(3).half(),
        "count": torch.tensor(7),
        "none": torch.zeros(0),
        "brain": torch.ones(2, dtype=torch.bfloat16),
    }


def test_it_is_read_with_every_value(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    read = load_checkpoint(write(tmp_path / "a.pth", {"state_dict": tensors, "epoch": 3}))
    assert read.header.form == "state_dict"
    assert all(torch.equal(read.state_dict[name], value) for name, value in tensors.items())
    verify_records(tmp_path / "a.pth")


def test_it_has_the_digest_of_the_same_model_in_todays_format(
    tmp_path: Path, simple_net: torch.nn.Module, simple_net_config: dict[str, int]
) -> None:
    saved = save_checkpoint(
        tmp_path / "b.pt", simple_net, architecture="simple_net", config=simple_net_config
    )
    old = load_checkpoint(
        write(tmp_path / "a.pth", simple_net.state_dict()),
        architecture="simple_net",
        config=simple_net_config,
    )
    assert old.digest() == load_checkpoint(saved).digest()


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95, 0.999])
def test_one_that_is_cut_short_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], kept: float
) -> None:
    whole = write(tmp_path / "a.pth", tensors).read_bytes()
    (tmp_path / "a.pth").write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(CheckpointUnreadableError):
        load_checkpoint(tmp_path / "a.pth")


def test_bytes_after_its_end_are_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    with write(tmp_path / "a.pth", tensors).open("ab") as file:
        file.write(b"more")
    with pytest.raises(CheckpointUnreadableError, match="its storages end at"):
        load_checkpoint(tmp_path / "a.pth")


def test_a_storage_that_is_said_to_be_larger_than_the_file_is_refused_before_memory_is_taken(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.pth", {"a": torch.zeros(70_000)})  # four bytes in the pickle
    content = path.read_bytes().replace(struct.pack("<i", 70_000), struct.pack("<i", 2_000_000_000))
    path.write_bytes(content)
    with pytest.raises(CheckpointUnreadableError, match="its storages end at"):
        load_checkpoint(path)


def test_an_expanded_tensor_is_read_and_one_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pth", {"a": torch.ones(1).expand(70_000)})
    assert load_checkpoint(path).state_dict["a"].stride() == (0,)
    write(path, {"a": torch.zeros(1).expand(2_000_000_000)})
    with pytest.raises(CheckpointContentError, match=r"which its record does not hold"):
        load_checkpoint(path)


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_read(tmp_path: Path, tensors: dict[str, torch.Tensor], protocol: int) -> None:
    path = tmp_path / "a.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=False, pickle_protocol=protocol)
    read = load_checkpoint(path).state_dict
    assert all(torch.equal(read[name], value) for name, value in tensors.items())


class RunsCode:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.marker)!r}, 'w')",)


def test_code_is_read_and_not_run(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pth", {"a": torch.zeros(1), "code": RunsCode(tmp_path / "ran")})
    held = read_legacy(path, torch.device("cpu"))
    assert isinstance(held, dict)
    assert held["code"].name == "builtins.exec"
    assert not (tmp_path / "ran").exists()


def test_no_damage_of_one_byte_in_its_pickles_ends_otherwise_than_in_an_error_of_ours(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pth", {"a": torch.arange(3.0)})
    whole = path.read_bytes()
    for position in range(len(whole) - 20):
        damaged = bytearray(whole)
        damaged[position] ^= 0x41
        path.write_bytes(damaged)
        try:
            load_checkpoint(path)
        except CheckpointError:
            continue
