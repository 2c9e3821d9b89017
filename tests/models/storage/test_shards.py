"""Checkpoints of several files: read as accelerate writes them, written in any shard size, refused when not whole."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from statehouse.models import (
    TensorTask,
    build_model,
    load_checkpoint,
    read_checkpoint_header,
    save_checkpoint,
    verify_records,
)
from statehouse.models.errors import (
    CheckpointContentError,
    CheckpointNotFoundError,
    CheckpointUnreadableError,
)

CONFIG = {"input_size": 4, "hidden_sizes": [8, 8], "output_size": 2}
ABOUT = {"architecture": "mlp", "config": CONFIG}
INDEX = "net.safetensors.index.json"


@pytest.fixture
def net():
    torch.manual_seed(0)
    return build_model("mlp", CONFIG).eval()


@pytest.fixture
def sharded(net, tmp_path):
    """Our own: `net.safetensors.index.json` and its shards, in a folder of their own."""
    path = tmp_path / "net" / "net.safetensors"
    return save_checkpoint(path, net, **ABOUT, task=TensorTask(), max_shard_bytes=200)


@pytest.fixture
def foreign(net, tmp_path):
    """A folder that accelerate wrote: `model.safetensors.index.json` and its shards."""
    Accelerator(cpu=True).save_model(net, tmp_path / "foreign", max_shard_size=100)
    return tmp_path / "foreign"


def shards_in(folder):
    return sorted(folder.glob("*-of-*"))


def problems_of(path, error=CheckpointContentError):
    with pytest.raises(error) as caught:
        load_checkpoint(path, **ABOUT)
    return getattr(caught.value, "problems", [str(caught.value)])


@pytest.mark.parametrize("max_shard_bytes", [1, 100, 257, 10_000])
def test_written_in_any_size_it_is_the_same_model(net, tmp_path, max_shard_bytes):
    whole = load_checkpoint(save_checkpoint(tmp_path / "whole.pt", net, **ABOUT, task=TensorTask()))
    path = save_checkpoint(
        tmp_path / "net.safetensors", net, **ABOUT, task=TensorTask(), max_shard_bytes=max_shard_bytes
    )
    checkpoint = load_checkpoint(path)
    assert checkpoint.digest() == whole.digest()
    assert checkpoint.header.task == TensorTask()
    row = torch.randn(2, 4)
    assert torch.equal(checkpoint.build()(row), net(row))
    verify_records(path)
    shards = shards_in(tmp_path)
    assert path.name == (INDEX if shards else "net.safetensors")
    sizes = [sum(t.numel() * t.itemsize for t in load_file(shard).values()) for shard in shards]
    largest = max(t.numel() * t.itemsize for t in net.state_dict().values())
    assert all(size <= max(max_shard_bytes, largest) for size in sizes)
    assert len(shards) == {1: 6, 100: 5, 257: 3, 10_000: 0}[max_shard_bytes]


def test_a_tied_tensor_is_stored_once_over_all_shards(tmp_path):
    net = build_model("simple_net", {"input_size": 4, "hidden_size": 4, "num_classes": 4})
    state = net.state_dict() | {"fc2.weight": net.fc1.weight, "fc2.bias": net.fc1.bias}
    about = {"architecture": "simple_net", "config": {"input_size": 4, "hidden_size": 4, "num_classes": 4}}
    path = save_checkpoint(tmp_path / "net.safetensors", state, **about, max_shard_bytes=20)
    assert sorted(json.loads(path.read_text())["weight_map"]) == ["fc1.bias", "fc1.weight"]
    loaded = load_checkpoint(path).state_dict
    assert loaded["fc2.weight"].data_ptr() == loaded["fc1.weight"].data_ptr()


def test_another_save_takes_its_place_and_its_shards(net, sharded):
    before = shards_in(sharded.parent)
    torch.nn.init.zeros_(net.layers[0].weight)
    save_checkpoint(sharded.with_name("net.safetensors"), net, **ABOUT, max_shard_bytes=300)
    after = shards_in(sharded.parent)
    assert not set(before) & set(after)
    assert not load_checkpoint(sharded).state_dict["layers.0.weight"].any()


def test_a_save_that_fails_leaves_the_one_before(net, sharded, monkeypatch):
    before = {file.name: file.read_bytes() for file in sharded.parent.iterdir()}

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    torch.nn.init.zeros_(net.layers[0].weight)
    monkeypatch.setattr("statehouse.models.storage.shards._write_index", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(sharded.with_name("net.safetensors"), net, **ABOUT, max_shard_bytes=300)
    assert {file.name: file.read_bytes() for file in sharded.parent.iterdir()} == before


def test_only_safetensors_and_sizes_of_some_bytes(net, tmp_path):
    for name, size in (("net.pt", 100), ("net.safetensors", 0)):
        with pytest.raises(CheckpointContentError, match="cannot be saved in shards"):
            save_checkpoint(tmp_path / name, net, **ABOUT, max_shard_bytes=size)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("what", ["folder", "index"])
def test_as_accelerate_writes_them(net, tmp_path, safe, what):
    Accelerator(cpu=True).save_model(net, tmp_path / "out", max_shard_size=100, safe_serialization=safe)
    [index] = (tmp_path / "out").glob("*.index.json")
    (tmp_path / "out" / "training_args.bin").write_bytes(b"of a trainer's")
    checkpoint = load_checkpoint(index if what == "index" else tmp_path / "out", **ABOUT)
    assert checkpoint.header.path == index
    assert len(checkpoint.header.files) == len(shards_in(tmp_path / "out")) + 1 > 3
    row = torch.randn(2, 4)
    assert torch.equal(checkpoint.build()(row), net(row))
    verify_records(index)


def test_a_folder_with_one_file_and_folders_without(net, tmp_path):
    Accelerator(cpu=True).save_model(net, tmp_path / "one")
    assert load_checkpoint(tmp_path / "one", **ABOUT).header.path.name == "model.safetensors"
    (tmp_path / "none").mkdir()
    assert "is a folder without a checkpoint" in problems_of(tmp_path / "none", CheckpointUnreadableError)[0]
    for name in ("a.pt", "b.pt"):
        torch.save(net.state_dict(), tmp_path / "none" / name)
    assert (
        "holds several checkpoints: a.pt, b.pt"
        in problems_of(tmp_path / "none", CheckpointUnreadableError)[0]
    )


def test_shards_without_their_index(foreign):
    (foreign / "model.safetensors.index.json").unlink()
    problem = problems_of(foreign, CheckpointUnreadableError)[0]
    assert "no index, which says what is in each; copy model.safetensors.index.json" in problem
    with pytest.raises(CheckpointNotFoundError, match="expected an index"):
        load_checkpoint(foreign / "model.safetensors.index.json")


def test_every_missing_shard(foreign):
    gone = shards_in(foreign)[1:3]
    for shard in gone:
        shard.unlink()
    assert [problem.partition(";")[0] for problem in problems_of(foreign)] == [
        f"shard {shard.name} is missing" for shard in gone
    ]


def test_an_index_that_leaves_shards_out(foreign):
    index = foreign / "model.safetensors.index.json"
    held = json.loads(index.read_text())
    held["weight_map"] = {name: file for name, file in held["weight_map"].items() if "-00002-" not in file}
    index.write_text(json.dumps(held))
    assert problems_of(foreign) == ["shard 2 of 4 is not in the index"]


def test_a_tensor_in_two_shards(foreign):
    first, second, *_ = shards_in(foreign)
    doubled = load_file(first)
    save_file({**load_file(second), **doubled}, second)
    assert problems_of(foreign) == [f"{name} is in {first.name} and in {second.name}" for name in doubled]


def test_a_shard_twice_under_two_names(foreign):
    first, second, *_ = shards_in(foreign)
    absent = load_file(second)
    shutil.copy(first, second)
    problems = problems_of(foreign)
    assert f"{next(iter(absent))} is not in {second.name}, where the index has it" in problems
    assert f"{next(iter(load_file(first)))} is in {first.name} and in {second.name}" in problems


def test_a_shard_of_another_number_of_shards(foreign, net, tmp_path):
    index = foreign / "model.safetensors.index.json"
    Accelerator(cpu=True).save_model(net, tmp_path / "other", max_shard_size=200)
    other = shards_in(tmp_path / "other")[0]
    shutil.copy(other, foreign)
    held = json.loads(index.read_text())
    held["weight_map"] |= dict.fromkeys(load_file(other), other.name)
    index.write_text(json.dumps(held))
    assert any("shards are of different saves: some of " in problem for problem in problems_of(foreign))


def test_a_shard_of_another_version_of_foreign_ones(foreign):
    shard = shards_in(foreign)[1]
    save_file({name: tensor.half() for name, tensor in load_file(shard).items()}, shard)
    [problem] = problems_of(foreign)
    assert "they are of different versions" in problem


def test_a_shard_of_another_version_of_our_own(sharded, net, tmp_path):
    torch.nn.init.zeros_(net.layers[0].weight)
    other = save_checkpoint(tmp_path / "other" / "net.safetensors", net, **ABOUT, max_shard_bytes=200)
    for mine, others in zip(shards_in(sharded.parent), shards_in(other.parent), strict=True):
        shutil.copy(others, mine)
        assert f"{mine.name} is of another save than the index" in problems_of(sharded)


def test_a_changed_shard_is_found(sharded):
    shard = shards_in(sharded.parent)[0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x55")
    with pytest.raises(CheckpointUnreadableError, match="digest: the file says"):
        verify_records(sharded)


@pytest.mark.parametrize(
    "place", ["../model.safetensors", "/etc/passwd.bin", "a/b.bin", "..", "", 7, "a\\b.bin"]
)
def test_an_index_that_points_elsewhere(foreign, place):
    index = foreign / "model.safetensors.index.json"
    held = json.loads(index.read_text())
    shutil.copy(shards_in(foreign)[0], foreign.parent / "model.safetensors")
    held["weight_map"]["layers.0.weight"] = place
    index.write_text(json.dumps(held))
    assert len(problems_of(index)) == 1
    assert read_problem_of(index).startswith(repr(place if isinstance(place, str) else repr(place)))


def read_problem_of(index):
    with pytest.raises(CheckpointContentError) as caught:
        read_checkpoint_header(index)
    return caught.value.problems[0]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": []}', "[" * 99_999]
)
def test_what_is_no_index(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises((CheckpointContentError, CheckpointUnreadableError)):
        load_checkpoint(tmp_path)


def test_a_shard_that_holds_other_things(foreign, net, tmp_path):
    Accelerator(cpu=True).save_model(net, tmp_path / "bin", max_shard_size=100, safe_serialization=False)
    shard = shards_in(tmp_path / "bin")[0]
    torch.save({"epoch": 3}, shard)
    assert f"{shard.name} holds other things than tensors" in problems_of(tmp_path / "bin")[0]


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_of_accelerate_s_save_state_is_its_model(net, tmp_path, name):
    accelerator = Accelerator(cpu=True)
    wrapped, _ = accelerator.prepare(net, torch.optim.Adam(net.parameters()))
    accelerator.save_state(str(tmp_path / "state"), safe_serialization=name.endswith("safetensors"))
    assert {name, "optimizer.bin", "random_states_0.pkl"} <= {
        file.name for file in (tmp_path / "state").iterdir()
    }
    checkpoint = load_checkpoint(tmp_path / "state", **ABOUT)
    assert checkpoint.header.path.name == name
    row = torch.randn(2, 4)
    assert torch.equal(checkpoint.build()(row), wrapped(row))
