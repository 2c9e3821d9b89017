"""A version of several files is served, swapped in and seen like one of one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.e2e.server import Server

from statehouse.models import TensorTask, build_model, save_checkpoint

CONFIG = {"input_size": 4, "hidden_sizes": [64, 64], "output_size": 2}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("shards"))
    torch.manual_seed(0)
    net = build_model("mlp", CONFIG)
    path = save_checkpoint(tmp_path / "net.pt", net, architecture="mlp", config=CONFIG, task=TensorTask())
    server.run("publish", str(path), "--name", "net", "--version", "1.0")
    server.run("publish", str(path), "--name", "net", "--version", "1.1", "--shard-size", "5kB")
    settings = {"batch_size": 4}
    server.write_deployment(models={"net": {"default": "1.0", "versions": {"1.0": settings}}})
    yield server.start()
    server.kill_if_running()


def test_swapped_in_it_answers_the_same(server: Server) -> None:
    request = json.dumps({"inputs": [1, 2, 3, 4]})
    before = server.run_json("predict", "net", request)
    server.run("swap", "net", "1.1")
    assert server.run_json("predict", "net/1.1", request) == before | {"version": "1.1"}
    whole, sharded = server.model("net", "1.0"), server.model("net", "1.1")
    assert sharded["digest"] == whole["digest"]
    rows = {row["version"]: row for row in server.status()["models"]}
    assert rows["1.1"]["default"]
    assert rows["1.1"]["state"] == "READY"
    assert len(list((server.folder / "model_store" / "net-1.1").glob("checkpoint-*-of-*.safetensors"))) > 2
