"""What HuggingFaceStorageWriter writes of each process, put together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from statehouse.models import load_checkpoint
from statehouse.models.errors import CheckpointContentError

SECOND = "shard-00002-model-00001-of-00001.safetensors"


@pytest.fixture
def shards(of_two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(of_two / "shards", tmp_path / "shards"))


def write_second(folder: Path, offsets: dict[str, object] | None, **tensors: torch.Tensor) -> None:
    header = {} if offsets is None else {"DCP_SHARDING_INFO": json.dumps(offsets)}
    save_file(tensors, folder / SECOND, metadata={"format": "pt", **header})


def problems_of(folder: Path) -> str:
    with pytest.raises(CheckpointContentError) as caught:
        load_checkpoint(folder)
    return str(caught.value)


def test_the_shards_are_the_model(shards: Path, whole: dict[str, torch.Tensor]) -> None:
    checkpoint = load_checkpoint(shards)
    assert checkpoint.header.container == "safetensors"
    assert checkpoint.state_dict.keys() == whole.keys()
    for name, tensor in checkpoint.state_dict.items():
        assert tensor.dtype == whole[name].dtype
        assert torch.equal(tensor, whole[name])
    assert sorted(file.name for file in checkpoint.header.files) == sorted(
        file.name for file in shards.iterdir()
    )


def test_they_are_found_below_what_torch_would_consolidate(
    shards: Path, whole: dict[str, torch.Tensor]
) -> None:
    (shards.parent / "run").mkdir()
    shards.rename(shards.parent / "run" / "sharded")
    assert load_checkpoint(shards.parent / "run").state_dict.keys() == whole.keys()


def test_a_missing_shard_is_told(shards: Path) -> None:
    (shards / SECOND).rename(shards / SECOND.replace("00002", "00003", 1))
    assert "shard 2 is missing" in problems_of(shards)


def test_a_gap_is_told(shards: Path) -> None:
    first = next(file for file in shards.iterdir() if file.name != SECOND)
    held = load_file(shards / SECOND)
    write_second(shards, {"0.bias": {"saved_offsets": [3]}}, **{"0.bias": held["0.bias"]})
    assert first.exists()
    assert "'0.bias': its parts leave out 1 of 4 elements" in problems_of(shards)


def test_a_tensor_without_elements_is_there_too(shards: Path) -> None:
    held, offsets = load_file(shards / SECOND), {"none": {"saved_offsets": [0, 0]}}
    with safe_open(shards / SECOND, framework="pt") as file:
        offsets |= json.loads(file.metadata()["DCP_SHARDING_INFO"])
    write_second(shards, dict(offsets), none=torch.empty(0, 3), **held)
    assert load_checkpoint(shards).state_dict["none"].shape == (0, 3)


@pytest.mark.parametrize(
    ("offsets", "tensor", "words"),
    [
        (None, torch.ones(1), "no DCP_SHARDING_INFO"),
        ({}, torch.ones(1), "has no saved_offsets along its 1 axes"),
        ({"0.bias": {"saved_offsets": [0, 2]}}, torch.ones(1), "has no saved_offsets along its 1 axes"),
        ({"0.bias": {"saved_offsets": [-1]}}, torch.ones(1), "has no saved_offsets"),
        ({"0.bias": {"saved_offsets": [1]}}, torch.ones(1), "over each other"),
        ({"0.bias": {"saved_offsets": [2]}}, torch.ones(1).double(), "different dtypes"),
        ({"0.bias": {"saved_offsets": [2, 0]}}, torch.ones(1, 1), "different axes"),
    ],
)
def test_parts_that_do_not_fit_are_told(
    shards: Path, offsets: dict[str, object] | None, tensor: torch.Tensor, words: str
) -> None:
    write_second(shards, offsets, **{"0.bias": tensor})
    assert words in problems_of(shards)
