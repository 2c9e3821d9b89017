"""A file of about 1 KB that declares 10⁹ elements: refused at once, whatever container, nothing published."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from statehouse.models.errors import CheckpointError
from statehouse.scripts.publishing.inspect import inspect
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

COUNT = 10**9
ABOUT = {
    "architecture": "simple_net",
    "config": {"input_size": 4, "hidden_size": COUNT, "num_classes": 2},
    "task": "tensor",
}


def repeated(path):
    """One element, seen 10⁹ times: a stride of 0."""
    torch.save({"fc1.bias": torch.zeros(1).expand(COUNT)}, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def declared(path, *, size_bytes=4 * COUNT):
    """A safetensors header that promises bytes which do not follow."""
    header = {"fc1.bias": {"dtype": "F32", "shape": [COUNT], "data_offsets": [0, size_bytes]}}
    text = json.dumps(header).encode()
    path.with_suffix(".safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))
    return path.with_suffix(".safetensors")


def contradicted(path):
    """A shape of 10⁹ for 64 bytes."""
    return declared(path, size_bytes=64)


def in_a_shard(path, *, make=repeated):
    """The same in one of two shards."""
    first = make(path.with_name("model-00001-of-00002"))
    first = first.rename(first.with_name(f"model-00001-of-00002{first.suffix}"))
    second = path.with_name(f"model-00002-of-00002{first.suffix}")
    if first.suffix == ".pt":
        torch.save({"fc1.weight": torch.zeros(1)}, second)
    else:
        save_file({"fc1.weight": torch.zeros(1)}, second)
    index = {"metadata": {}, "weight_map": {"fc1.bias": first.name, "fc1.weight": second.name}}
    path.with_name("model.index.json").write_text(json.dumps(index))
    return path.with_name("model.index.json")


def in_a_safetensors_shard(path):
    """The same in a safetensors shard."""
    return in_a_shard(path, make=declared)


@pytest.mark.parametrize(
    "make",
    [repeated, declared, contradicted, in_a_shard, in_a_safetensors_shard],
    ids=lambda make: make.__name__,
)
def test_it_is_refused_with_one_clear_error(make, tmp_path):
    path = make(tmp_path / "net")
    assert path.stat().st_size < 2048
    store = LocalStore(tmp_path / "store")
    with pytest.raises(CheckpointError) as caught:
        publish(path, store=store, name="net", version="1.0", **ABOUT)
    assert "damaged" in str(caught.value)
    assert not list(tmp_path.glob("store/*-*"))
    found = inspect(str(path), store=store, **ABOUT)
    assert not found.would_load
    assert len(found.problems) == 1
