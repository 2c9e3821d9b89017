"""Checkpoints of several files as sources of versions, and versions that hold several files."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from accelerate import Accelerator
from tests.scripts.commands_run import run_statehouse

from statehouse.models import TensorTask, build_model, load_checkpoint, save_checkpoint
from statehouse.models.errors import CheckpointError
from statehouse.scripts.errors import ManifestError, VersionFolderError
from statehouse.scripts.publishing.inspect import inspect
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore
from statehouse.scripts.store.manifest import parse_manifest

CONFIG = {"input_size": 4, "hidden_sizes": [8, 8], "output_size": 2}
ABOUT = {"architecture": "mlp", "config": CONFIG, "task": "tensor"}
INDEX = "checkpoint.safetensors.index.json"


@pytest.fixture
def store(store_folder):
    return LocalStore(store_folder)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return build_model("mlp", CONFIG).eval()


@pytest.fixture
def source(net, tmp_path):
    path = tmp_path / "net.pt"
    return save_checkpoint(path, net, architecture="mlp", config=CONFIG, task=TensorTask())


@pytest.fixture
def sharded(store, source):
    return publish(source, store=store, name="net", version="1.0", max_shard_bytes=200).version


@pytest.fixture
def foreign(net, tmp_path):
    Accelerator(cpu=True).save_model(net, tmp_path / "foreign", max_shard_size=100)
    return tmp_path / "foreign"


def test_a_version_of_several_files(store, source, sharded, net):
    shards = [file for file in sharded.manifest.checkpoint_files if file != INDEX]
    assert sharded.manifest.checkpoint == INDEX
    assert len(shards) == 3
    assert {entry.name for entry in sharded.folder.iterdir()} == {
        *shards,
        INDEX,
        "golden.json",
        "version.json",
    }
    assert sharded.manifest.files.keys() == {*shards, INDEX, "golden.json"}
    assert set(store.verify(sharded)) == {entry.name for entry in sharded.folder.iterdir()}
    assert sharded.digest == load_checkpoint(source).digest()
    assert sharded.manifest.checkpoint_bytes > sum(t.numel() * 4 for t in net.state_dict().values())
    row = torch.randn(2, 4)
    assert torch.equal(load_checkpoint(sharded.checkpoint_path).build()(row), net(row))
    found = inspect("net-1.0", store=store)
    assert (found.would_load, found.problems) == (True, [])


def test_the_same_digest_whether_in_shards_or_not(store, source, sharded):
    again = publish(source, store=store, name="net", version="1.0")
    assert again.already_published
    assert publish(source, store=store, name="net", version="1.1").version.digest == sharded.digest


def test_what_fits_into_one_file_is_one(store, source):
    version = publish(source, store=store, name="net", version="1.0", max_shard_bytes=10**6).version
    assert version.manifest.checkpoint == "checkpoint.safetensors"


def test_every_changed_missing_and_added_shard(store, sharded):
    first, second, third = (
        sharded.folder / name for name in sharded.manifest.checkpoint_files if name != INDEX
    )
    second.chmod(0o644)
    second.write_bytes(second.read_bytes()[:-1] + b"\x55")
    with pytest.raises(VersionFolderError, match=f"{second.name} has SHA-256"):
        store.verify(sharded)
    first.unlink()
    shutil.copy(third, sharded.folder / "checkpoint-00000000-00004-of-00004.safetensors")
    with pytest.raises(VersionFolderError) as caught:
        store.get("net", "1.0")
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "checkpoint-00000000-00004-of-00004.safetensors does not belong to a version",
        f"{first.name} is missing",
    ]


@pytest.mark.parametrize("change", ["drop", "rename", "none"])
def test_a_manifest_of_other_shards_is_refused(sharded, change):
    plain = json.loads((sharded.folder / "version.json").read_text())
    shard = next(name for name in plain["files"] if "-00002-" in name)
    record = plain["files"].pop(shard)
    if change == "rename":
        plain["files"]["checkpoint-00000000-00002-of-00003.safetensors"] = record
    if change == "none":
        plain["files"] = {name: plain["files"][name] for name in (INDEX, "golden.json")}
    with pytest.raises(ManifestError, match="not the shards of one checkpoint"):
        parse_manifest(json.dumps(plain).encode())


@pytest.mark.parametrize("what", ["folder", "index"])
def test_a_folder_of_shards_or_its_index_is_a_checkpoint(store, foreign, what, net):
    path = foreign if what == "folder" else foreign / "model.safetensors.index.json"
    found = inspect(str(path), store=store, **ABOUT)
    assert (found.kind, found.would_load, found.problems) == ("checkpoint", True, [])
    assert len(found.facts["shards"]) == 4
    version = publish(path, store=store, name="net", version="1.0", **ABOUT).version
    assert version.manifest.checkpoint == "checkpoint.safetensors"
    assert version.digest == found.facts["digest"]


@pytest.mark.parametrize("harm", ["missing", "doubled", "mixed", "elsewhere"])
def test_shards_that_are_not_one_checkpoint_publish_nothing(store, foreign, harm):
    first, second = sorted(foreign.glob("*-of-*"))[:2]
    index = foreign / "model.safetensors.index.json"
    if harm == "missing":
        first.unlink()
    if harm == "doubled":
        shutil.copy(first, second)
    if harm == "mixed":
        first.rename(foreign / "model-00001-of-00009.safetensors")
        index.write_text(index.read_text().replace(first.name, "model-00001-of-00009.safetensors"))
    if harm == "elsewhere":
        index.write_text(index.read_text().replace(first.name, f"../{first.name}"))
    with pytest.raises(CheckpointError):
        publish(foreign, store=store, name="net", version="1.0", **ABOUT)
    assert not list(store.folder.iterdir())
    assert not inspect(str(foreign), store=store, **ABOUT).would_load


def test_the_command_publishes_a_folder_in_shards(foreign, tmp_path):
    options = ["--architecture", "mlp", "--task", "tensor", "--config", json.dumps(CONFIG)]
    shown = run_statehouse(tmp_path, "inspect", "foreign", *options).stdout
    assert ".safetensors, " in shown
    assert "B in 4 shards, a bare state_dict" in shown
    named = ["--name", "net", "--version", "1.0", "--shard-size", "200B", "--json"]
    done = json.loads(run_statehouse(tmp_path, "publish", "foreign", *named, *options).stdout)
    assert (tmp_path / done["folder"] / INDEX).exists()
