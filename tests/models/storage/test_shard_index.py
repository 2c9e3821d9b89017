"""An index of shards: which file a folder means, what an index may say, and whether its shards are one save."""

from __future__ import annotations

import json

import pytest

from statehouse.models.errors import (
    CheckpointContentError,
    CheckpointNotFoundError,
    CheckpointUnreadableError,
)
from statehouse.models.storage import shard_index
from statehouse.models.storage.shard_index import (
    ShardIndex,
    content_problems,
    is_index,
    locate_checkpoint,
    read_index,
)

SHARDS = ["m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"]


@pytest.fixture
def write_index(tmp_path):
    """Write an index, and empty files for the shards of these names."""

    def write(weight_map, files=SHARDS, **more):
        for name in files:
            (tmp_path / name).touch()
        path = tmp_path / "m.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": weight_map, **more}))
        return path

    return write


def problems_of(path):
    with pytest.raises(CheckpointContentError) as caught:
        read_index(path)
    return caught.value.problems


@pytest.mark.parametrize(
    ("files", "meant"),
    [
        (["a.pt"], "a.pt"),
        (["a.pt", "notes.txt", ".hidden.pt"], "a.pt"),
        (["a.pt", "b.safetensors"], "b.safetensors"),
        (["optimizer.bin", "pytorch_model.bin"], "pytorch_model.bin"),
        (["adapter.safetensors", "model.safetensors", "pytorch_model.bin"], "model.safetensors"),
        ([*SHARDS, "m.safetensors.index.json", "other.safetensors"], "m.safetensors.index.json"),
        (["model.safetensors.index.json", "pytorch_model.bin.index.json"], "model.safetensors.index.json"),
    ],
)
def test_a_folder_means_the_one_checkpoint_in_it(tmp_path, files, meant):
    for name in files:
        (tmp_path / name).touch()
    assert locate_checkpoint(tmp_path) == tmp_path / meant


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], "is a folder without a checkpoint; expected a .pt or .safetensors file"),
        (["a.pt", "b.pt"], "holds several checkpoints: a.pt, b.pt; name one of them"),
        (
            SHARDS,
            "holds 2 shards and no index, which says what is in each; copy m.safetensors.index.json as well",
        ),
        (["optimizer.bin", "scheduler.bin"], "holds several checkpoints: optimizer.bin, scheduler.bin"),
    ],
)
def test_a_folder_that_means_none_says_what_to_do(tmp_path, files, told):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(CheckpointUnreadableError) as caught:
        locate_checkpoint(tmp_path)
    assert told.format(tmp_path) in str(caught.value)


def test_what_is_no_folder_is_meant_itself(tmp_path):
    assert locate_checkpoint(tmp_path / "absent.pt") == tmp_path / "absent.pt"
    assert is_index(tmp_path / "m.safetensors.index.json")
    assert not is_index(tmp_path / "index.json.pt")


def test_an_index_says_which_tensors_are_in_which_shard(write_index, tmp_path):
    path = write_index({"b": SHARDS[1], "a": SHARDS[0], "c": SHARDS[1]}, metadata={"total_size": 4})
    index = read_index(path)
    assert index == ShardIndex(
        path, "safetensors", {SHARDS[0]: frozenset("a"), SHARDS[1]: frozenset("bc")}, {"total_size": 4}
    )
    assert index.files == (tmp_path / SHARDS[0], tmp_path / SHARDS[1], path)


@pytest.mark.parametrize(
    "content", [{"weight_map": {}}, {"weight_map": []}, {}, {"weight_map": {"a": "b.pt"}, "metadata": []}]
)
def test_json_that_is_no_index_says_what_one_is(tmp_path, content):
    path = tmp_path / "m.safetensors.index.json"
    path.write_text(json.dumps(content))
    assert problems_of(path) == ['expected {"metadata": {…}, "weight_map": {"tensor": "file"}}']


@pytest.mark.parametrize(
    "name", ["../m.pt", "/m.pt", "sub/m.pt", "", ".", "..", "a\\m.pt", "m.pt\0", 7, None]
)
def test_a_shard_stands_beside_its_index(write_index, name):
    [problem] = problems_of(write_index({"a": name}))
    assert "expected" in problem
    assert repr(name) in problem or repr(repr(name)) in problem


def test_every_missing_shard_is_told(write_index):
    assert problems_of(write_index({"a": SHARDS[0], "b": SHARDS[1], "c": "notes.txt"}, files=[])) == [
        f"shard {SHARDS[0]} is missing; copy or download it again",
        f"shard {SHARDS[1]} is missing; copy or download it again",
        "'notes.txt' is called like no checkpoint; expected .safetensors, .bin or .pt",
    ]


def test_a_name_that_no_file_can_have_is_missing(write_index):
    [problem] = problems_of(write_index({"a": "x" * 300 + ".pt"}))
    assert problem.endswith(".pt is missing; copy or download it again")


def test_shards_are_of_one_save_and_in_one_container(write_index):
    assert problems_of(write_index({"a": "a.pt", "b": "b.safetensors"}, files=["a.pt", "b.safetensors"])) == [
        "shards are in both containers: a.pt, b.safetensors; expected one"
    ]
    other = "m-00001-of-00003.safetensors"
    assert problems_of(write_index({"a": SHARDS[0], "b": other}, files=[SHARDS[0], other])) == [
        "shards are of different saves: some of 2 and of 3; copy all files of one save"
    ]
    assert problems_of(write_index({"a": SHARDS[1]})) == ["shard 1 of 2 is not in the index"]


def test_an_index_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    with pytest.raises(CheckpointNotFoundError, match="no such file; expected an index of shards"):
        read_index(tmp_path / "absent.index.json")
    with pytest.raises(CheckpointUnreadableError, match="cannot be read: Is a directory"):
        read_index(tmp_path)
    path = tmp_path / "m.index.json"
    path.write_text("[" * 100_000)
    with pytest.raises(CheckpointUnreadableError, match="the index is no JSON"):
        read_index(path)
    monkeypatch.setattr(shard_index, "MAX_INDEX_BYTES", 10)
    with pytest.raises(CheckpointUnreadableError, match="has more than 10 bytes"):
        read_index(path)


def test_every_difference_between_index_and_shards_is_told_some_of_each_kind(tmp_path):
    index = ShardIndex(
        tmp_path, "pt", {"one.pt": frozenset(["a", *map(str, range(10))]), "two.pt": frozenset("b")}, {}
    )
    assert content_problems(index, {"one.pt": index.shards["one.pt"], "two.pt": ["b"]}) == []
    problems = content_problems(index, {"one.pt": ["a"], "two.pt": ["a", "b", "x"]})
    assert problems[:8] == [f"{number} is not in one.pt, where the index has it" for number in range(8)]
    assert problems[8:] == [
        "… and 2 more such",
        "a is in one.pt and in two.pt",
        "x, in two.pt, is not in the index",
    ]
