"""One server for all that only asks it; tests that change a deployment start their own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.e2e.server import Server

from statehouse.models.architecture import build_model, list_architectures
from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.tasks.registry import TensorTask
from statehouse.scripts.publishing.publish import publish as publish_version
from statehouse.scripts.store import LocalStore

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

# A small config of every built-in architecture; a new one is tested because it is registered.
CONFIGS: dict[str, dict[str, Any]] = {
    "simple_net": {"input_size": 6, "hidden_size": 5, "num_classes": 3},
    "mlp": {
        "input_size": 6,
        "hidden_sizes": [8, 7],
        "output_size": 3,
        "dropout": 0.5,
        "normalisation": "batch",
    },
    "convnet": {
        "in_channels": 3,
        "height": 8,
        "width": 12,
        "num_classes": 4,
        "channels": [4, 5],
        "dropout": 0.5,
    },
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the example scripts write, run as a newcomer runs it, once for all workers of pytest's."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / "trained"
    with (shared / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            train_into(Path(tempfile.mkdtemp(prefix="training-", dir=shared))).rename(folder)
    return folder


def train_into(folder: Path) -> Path:
    for script, output in (
        ("train_digits.py", "digits.pt"),
        ("train_breast_cancer.py", "breast_cancer.safetensors"),
        ("own_network/train.py", "diabetes.pt"),
    ):
        subprocess.run([sys.executable, EXAMPLES / script, "--output", folder / output], check=True, cwd=ROOT)
    return folder


@pytest.fixture(scope="session")
def architecture_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Random checkpoints of every architecture: version 1.0 a .pt saved on GPU 3, 2.0 a .safetensors."""
    folder = tmp_path_factory.mktemp("architectures")
    files: dict[str, dict[str, Path]] = {}
    assert set(list_architectures()) >= set(CONFIGS)
    for name, config in CONFIGS.items():
        torch.manual_seed(len(name))
        model = build_model(name, config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
        files[name] = {"1.0": folder / f"{name}.pt", "2.0": folder / f"{name}.safetensors"}
        for version, file in files[name].items():
            with saved_on("cuda:3" if version == "1.0" else "cpu"):
                save_checkpoint(file, model, architecture=name, config=config, task=TensorTask())
    return files


class saved_on:  # noqa: N801 - reads as a phrase
    """Checkpoints saved inside say that their tensors were on ``device``, which need not exist here."""

    def __init__(self, device: str) -> None:
        self._device = device

    def __enter__(self) -> None:
        self._original = torch.serialization.location_tag
        torch.serialization.location_tag = lambda storage: self._device  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        torch.serialization.location_tag = self._original


def publish(server: Server, file: Path, name: str, version: str = "1.0", *options: str) -> None:
    server.run("publish", str(file), "--name", name, "--version", version, *options)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, trained: Path, architecture_files: dict[str, dict[str, Path]]
) -> Iterator[Server]:
    """Digits, breast_cancer, a network of one's own, and both versions of every architecture."""
    server = Server(tmp_path_factory.mktemp("server"))
    shutil.copy(EXAMPLES / "own_network" / "my_nets.py", server.folder)
    server.write_deployment(architectures=["my_nets"])
    publish(server, trained / "digits.pt", "digits")
    publish(server, trained / "breast_cancer.safetensors", "breast_cancer")
    publish(server, trained / "diabetes.pt", "diabetes")
    models: dict[str, Any] = {
        name: {"default": "1.0", "versions": {"1.0": {}}} for name in ("digits", "breast_cancer", "diabetes")
    }
    for name, versions in architecture_files.items():
        for version, file in versions.items():  # in this process, because that is quick
            publish_version(file, store=LocalStore(server.store), name=name, version=version)
        settings = {"batch_size": 8}
        models[name] = {"default": "1.0", "versions": dict.fromkeys(versions, settings)}
    server.write_deployment(architectures=["my_nets"], models=models)
    server.start()
    yield server
    server.kill_if_running()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Return a function that makes a server of the test's own, stopped at its end."""
    servers: list[Server] = []

    def make() -> Server:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        servers.append(Server(folder))
        return servers[-1]

    yield make
    for server in servers:
        server.kill_if_running()
