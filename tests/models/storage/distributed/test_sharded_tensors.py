"""DTensors of one process: read where nothing is elsewhere, else refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from statehouse.models import load_checkpoint
from statehouse.models.errors import CheckpointContentError
from statehouse.models.storage.distributed.sharded_tensors import with_whole_tensors
from statehouse.models.storage.inert.record import Record

HERE = Path("f.pt")
NAMES = ("torch.distributed.tensor.DTensor", "torch.distributed._tensor.api.DTensor")


def dtensor(local: object, *size: int, name: str = NAMES[0]) -> Record:
    return Record(name, (torch.float32, size, (1,)), {"_local_tensor": local, "_spec": None})


def problems_of(held: object) -> list[str]:
    with pytest.raises(CheckpointContentError) as caught:
        with_whole_tensors(HERE, held)
    return caught.value.problems


@pytest.mark.parametrize("name", NAMES)
def test_a_part_that_is_all_is_the_tensor(name: str) -> None:
    local = torch.ones(2, 3)
    held = {"model": {"a": dtensor(local, 2, 3, name=name), "b": 3}, "list": [1]}
    found = with_whole_tensors(HERE, held)
    assert found is held
    assert held["model"]["a"].data_ptr() == local.data_ptr()
    alone = with_whole_tensors(HERE, dtensor(local, 2, 3))
    assert isinstance(alone, torch.Tensor)


def test_parts_are_refused_with_how_to_save_them_whole() -> None:
    problems = problems_of({"model": {"a": dtensor(torch.ones(1, 3), 2, 3), "b": dtensor(torch.ones(2), 2)}})
    assert problems[0] == "'model.a': [1, 3] of [2, 3]"
    assert len(problems) == 2
    assert "full_state_dict=True" in problems[1]
    assert "torch.distributed.checkpoint.save writes a folder" in problems[1]


def test_a_real_file_of_one_process_names_its_parts(of_two: Path) -> None:
    with pytest.raises(CheckpointContentError) as caught:
        load_checkpoint(of_two / "part0.pt")
    assert caught.value.problems[0] == "'model_state_dict.0.weight': [2, 5] of [3, 5]"
    assert "full_state_dict=True" in caught.value.problems[-1]
    told = "".join(caught.value.problems)
    assert "2.weight" not in told  # its only row is here
    assert "running_mean" not in told


def test_many_are_listed_up_to_a_bound() -> None:
    problems = problems_of({f"a{index}\x1b": dtensor(torch.ones(1), 2) for index in range(100)})
    assert len(problems) == 10
    assert "\x1b" not in "".join(problems)


@pytest.mark.parametrize(
    "record",
    [
        dtensor(3, 2),
        Record(NAMES[0]),
        Record(NAMES[0], (torch.float32, "x"), {"_local_tensor": torch.ones(2)}),
        Record("torch.distributed._shard.sharded_tensor.api.ShardedTensor", (), {"_local_shards": []}),
    ],
)
def test_what_cannot_be_whole_is_named(record: Record) -> None:
    assert problems_of({"a": record})[0] == f"'a': a {record.name}"


def test_what_optimizers_hold_may_be_parts() -> None:
    held = {"model": {"a": torch.ones(2)}, "optimizer": {"state": {"m": dtensor(torch.ones(1), 2)}}}
    assert with_whole_tensors(HERE, held) is held
    assert with_whole_tensors(HERE, {"a": Record("my.DTensor")})
