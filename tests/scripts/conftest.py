"""Version folders as publish makes them, but of any bytes; small checkpoints; applications asked without a server."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import ASGIApp
from tests.scripts.asked import Asked

from statehouse.scripts.store.manifest import BuiltBy, FileRecord, GoldenRecord, VersionManifest

MakeVersion = Callable[..., Path]
SaveNet = Callable[..., Path]
SIMPLE_NET = {"input_size": 4, "hidden_size": 3, "num_classes": 2}


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model_store"
    folder.mkdir()
    return folder


@pytest.fixture
def make_version(store_folder: Path) -> MakeVersion:
    """Return a function that writes ``NAME-VERSION`` into the store and returns its folder."""

    def make(name: str = "digits", version: str = "1.0", *, checkpoint: bytes = b"tensors") -> Path:
        folder = store_folder / f"{name}-{version}"
        folder.mkdir()
        files = {"checkpoint.pt": checkpoint, "golden.json": b"{}"}
        for file_name, content in files.items():
            (folder / file_name).write_bytes(content)
        manifest = VersionManifest(
            name=name,
            version=version,
            digest=hashlib.sha256(checkpoint).hexdigest(),
            architecture="simple_net",
            config={"input_size": 4},
            task="tensor",
            task_config={},
            checkpoint="checkpoint.pt",
            files={
                file_name: FileRecord(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
                for file_name, content in files.items()
            },
            parameter_count=20,
            dtypes=["float32"],
            labels=None,
            input_schema={},
            output_schema={},
            inputs=[],
            outputs=[],
            golden=GoldenRecord(count=1, source="made"),
            metadata={},
            architecture_source_digest=None,
            published="2026-01-01T00:00:00Z",
            built_by=BuiltBy(statehouse="0.1.0", torch="2.13.0", python="3.11.7"),
        )
        (folder / "version.json").write_bytes(manifest.to_json())
        return folder

    return make


@pytest.fixture
def save_net(tmp_path: Path) -> SaveNet:
    """Return a function that saves a small simple_net as a checkpoint and returns its path."""

    def save(file_name: str = "net.pt", *, seed: int = 0, **fields: object) -> Path:
        return save_small_net(tmp_path / file_name, seed=seed, **fields)

    return save


@pytest.fixture
def ask() -> Callable[[ASGIApp], Asked]:
    return Asked


def save_small_net(file: Path, *, seed: int = 0, **fields: object) -> Path:
    # Here, because the tests that need no torch share this file.
    import torch

    from statehouse.models import TensorTask, build_model, save_checkpoint

    torch.manual_seed(seed)
    net = build_model("simple_net", SIMPLE_NET)
    about = {"architecture": "simple_net", "config": SIMPLE_NET, "task": TensorTask(), **fields}
    return save_checkpoint(file, net, **about)
