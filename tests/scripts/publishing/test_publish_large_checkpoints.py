"""Large checkpoints take memory that is bounded, whether they are one file or shards: load, publish, save.

`make large-test` does the same with 4 GB, for which it needs 16 GB of disk: STATEHOUSE_LARGE_BYTES.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.scripts.memory_peak import peak_of

from statehouse.models import TensorTask, build_model, load_checkpoint, save_checkpoint
from statehouse.models.storage.shard_index import is_index
from statehouse.scripts.store import LocalStore

LARGE_BYTES = int(os.environ.get("STATEHOUSE_LARGE_BYTES", 200_000_000))
SHARD_BYTES = LARGE_BYTES // 5
WIDTH = 2048 if LARGE_BYTES < 10**9 else 8192
LAYERS = LARGE_BYTES // (4 * WIDTH * WIDTH) + 1
CONFIG = {"input_size": WIDTH, "hidden_sizes": [WIDTH] * (LAYERS - 1), "output_size": WIDTH}
SHARDINGS = (0, SHARD_BYTES // 2) if LARGE_BYTES >= 10**9 else (0,)  # 0: one file
SMALL = {"input_size": 16, "hidden_sizes": [16], "output_size": 16}
SHARE = 0.2  # of the size: what may be in memory beyond what a small checkpoint takes
NOISE_BYTES = 60_000_000  # allocators, and what one request through large layers takes
WHOLE_BYTES = 500_000_000  # Python and torch included

SAVES = """
import torch
from statehouse import TensorTask, build_model, save_checkpoint
from statehouse.models.building import build_without_values
config = json.loads(sys.argv[2])
torch.manual_seed(0)
tensors, folder = {}, Path(sys.argv[3])
folder.mkdir()
for name, parameter in build_without_values("mlp", config).named_parameters():
    count = parameter.numel()
    values = torch.from_file(str(folder / name), shared=True, size=count, dtype=torch.float32)
    values[:64] = torch.randn(64)[:count] * 0.01
    tensors[name] = values.view(parameter.shape)
save_checkpoint(sys.argv[1], tensors, architecture="mlp", config=config, task=TensorTask(),
                max_shard_bytes=int(sys.argv[4]) or None)
"""
LOADS = """
import torch
from statehouse import TensorTask, build_model, load_checkpoint, save_checkpoint
checkpoint = load_checkpoint(sys.argv[1])
module = checkpoint.build()
with torch.inference_mode():
    module(torch.ones(1, module.layers[0].in_features))
checkpoint.digest()
"""
PUBLISHES = """
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore
publish(Path(sys.argv[1]), store=LocalStore(Path(sys.argv[2])), name="large", version="1.0",
        max_shard_bytes=int(sys.argv[3]) or None)
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A checkpoint that takes no memory to speak of: what is left is Python and torch."""
    path = tmp_path_factory.mktemp("small") / "net.safetensors"
    net = build_model("mlp", SMALL)
    return save_checkpoint(
        path, net, architecture="mlp", config=SMALL, task=TensorTask(), max_shard_bytes=500
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A checkpoint of that size in shards, whose tensors never were in anonymous memory."""
    folder = tmp_path_factory.mktemp("large")
    saved = folder / "net.safetensors"
    peak = peak_of(SAVES, saved, json.dumps(CONFIG), folder / "values", SHARD_BYTES)
    shutil.rmtree(folder / "values")
    assert peak < SHARE * LARGE_BYTES + WHOLE_BYTES
    return saved.with_name(f"{saved.name}.index.json")


def assert_bounded(peak_bytes: int, small_peak_bytes: int) -> None:
    assert peak_bytes - small_peak_bytes < SHARE * LARGE_BYTES + NOISE_BYTES
    assert peak_bytes < SHARE * LARGE_BYTES + WHOLE_BYTES
    print(f"{LARGE_BYTES:,} bytes: peak {peak_bytes:,}, of a small one {small_peak_bytes:,}")


def test_it_is_as_large_as_it_should_be(large):
    shards = [file for file in load_checkpoint(large).header.files if not is_index(file)]
    assert len(shards) > 4
    assert sum(file.stat().st_size for file in shards) > LARGE_BYTES


def test_loading_takes_bounded_memory(large, small):
    assert_bounded(peak_of(LOADS, large), peak_of(LOADS, small))


def test_publishing_takes_bounded_memory(large, small, tmp_path):
    base = peak_of(PUBLISHES, small, tmp_path / "small", 0)
    for max_shard_bytes in SHARDINGS:
        store = tmp_path / str(max_shard_bytes)
        assert_bounded(peak_of(PUBLISHES, large, store, max_shard_bytes), base)
        version = LocalStore(store).get("large", "1.0")
        assert version.digest == load_checkpoint(large).header.stored_digest
        assert (len(version.manifest.checkpoint_files) > 1) == bool(max_shard_bytes)
        shutil.rmtree(store)
