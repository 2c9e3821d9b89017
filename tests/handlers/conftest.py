"""A worker as TorchServe runs it: its real loader, service and message format, over a real socket pair."""

import json
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import prometheus_client  # noqa: F401 - before any worker does: here its numbers stay in memory
import pytest
import torch
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.model_loader import ModelLoaderFactory
from ts.protocol.otf_message_handler import retrieve_msg
from ts.service import Service

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.golden import GOLDEN_FILE, Golden, write_golden
from statehouse.models import (
    Task,
    TensorTask,
    build_model,
    import_architectures,
    load_checkpoint,
    save_checkpoint,
)
from statehouse.models.example import Example

torch.set_num_threads(1)
sys.path.insert(0, str(Path(__file__).parent))
import_architectures(["strange_nets"])

METRICS_CONFIG = Path(__import__("ts").__file__).parent / "configs" / "metrics.yaml"
DIGEST = "d" * 64


@dataclass
class Sent:
    """One request as TorchServe's Java passes it on: parameters are (name, content type, bytes)."""

    parameters: Sequence[tuple[str, str, bytes]]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Received:
    """One response as TorchServe's Java reads it."""

    status: int
    content_type: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Worker:
    """A loaded service; `send` goes through TorchServe's own message format both ways."""

    service: Service
    folder: Path
    private: Path

    def send(self, *requests: Sent) -> list[Received]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            message = encode_batch(requests)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(message) * 2)
            ours.sendall(message)
            _, batch = retrieve_msg(theirs)
        self.service.set_cl_socket(None)
        return decode_responses(bytes(self.service.predict(batch)))

    @staticmethod
    def posted(body: bytes, content_type: str = "application/json", **headers: str) -> Sent:
        """A POST of one body; headers by their names with underscores."""
        named = {
            name if name == "url_path" else name.replace("_", "-"): text for name, text in headers.items()
        }
        return Sent([("body", content_type, body)], {"content-type": content_type, **named})

    @staticmethod
    def uploaded(**parts: tuple[str, bytes]) -> Sent:
        """A multipart POST; each part is (content type, bytes)."""
        parameters = [(name, content_type, body) for name, (content_type, body) in parts.items()]
        return Sent(parameters, {"content-type": "multipart/form-data; boundary=x"})

    def post(self, body: bytes, content_type: str = "application/json", **headers: str) -> Received:
        return self.send(self.posted(body, content_type, **headers))[0]


def encode_batch(requests: Sequence[Sent]) -> bytes:
    def text(value: str | bytes) -> bytes:
        data = value.encode() if isinstance(value, str) else value
        return struct.pack("!i", len(data)) + data

    end = struct.pack("!i", -1)
    message = b"I"
    for index, request in enumerate(requests):
        message += text(f"request-{index}")
        message += b"".join(text(name) + text(value) for name, value in request.headers.items()) + end
        message += b"".join(text(n) + text(kind) + text(body) for n, kind, body in request.parameters) + end
    return message + end


def decode_responses(message: bytes) -> list[Received]:
    offset = 0

    def integer() -> int:
        nonlocal offset
        offset += 4
        return struct.unpack_from("!i", message, offset - 4)[0]

    def data() -> bytes:
        nonlocal offset
        length = integer()
        offset += length
        return message[offset - length : offset]

    assert integer() == 200, message
    data()
    received = []
    while (length := integer()) != -1:
        offset += length
        content_type, status = data().decode(), integer()
        data()
        headers = {data().decode(): data().decode() for _ in range(integer())}
        received.append(Received(status, content_type, headers, data()))
    return received


@pytest.fixture
def make_handler(tmp_path: Path) -> Callable[..., CheckpointHandler[Any]]:
    """A handler of a freshly saved checkpoint, without TorchServe."""

    def make(architecture: str, config: dict[str, Any], task: Task | None) -> CheckpointHandler[Any]:
        path = save(tmp_path / "checkpoint.pt", architecture, config, task)
        return CheckpointHandler.from_checkpoint(
            load_checkpoint(path), name="model", version="1.0", digest=DIGEST
        )

    return make


@pytest.fixture
def make_version(tmp_path: Path) -> Callable[..., Path]:
    """TorchServe's private folder of a version, as the supervisor writes it; settings may be overridden."""

    def make(architecture: str, config: dict[str, Any], task: Task, **changed: Any) -> Path:
        private, folder = tmp_path / "private", tmp_path / "model-1.0"
        private.mkdir()
        folder.mkdir()
        path = save(folder / "checkpoint.pt", architecture, config, task)
        handler = CheckpointHandler.from_checkpoint(load_checkpoint(path))
        made = handler.make_example()
        response = json.loads(handler.answer([made])[0].body)
        example = Example(content_type=made.content_type, body=bytes(made.body), response=response)
        write_golden(folder / GOLDEN_FILE, Golden(source="made", examples=[example]))
        _write_settings(private, folder, **changed)
        return private

    return make


@pytest.fixture
def load_worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], Worker]:
    """Load a private folder with TorchServe's own loader."""

    def load(private: Path, handler: str) -> Worker:
        # What a worker sets in its own environment must not reach other tests.
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(private))
        monkeypatch.setenv("TS_DECODE_INPUT_REQUEST", "false")  # as Java does, by config.properties
        metrics = MetricsCacheYamlImpl(config_file_path=str(METRICS_CONFIG))
        metrics.initialize_cache()
        metrics.model_name = "model"
        loader = ModelLoaderFactory.get_model_loader()
        service = loader.load("model", str(private), handler, None, 8, None, True, metrics)
        settings = json.loads((private / "statehouse.json").read_bytes())
        return Worker(service, Path(settings["version_folder"]), private)

    return load


@pytest.fixture
def worker(make_version: Callable[..., Path], load_worker: Callable[[Path, str], Worker]) -> Worker:
    """A worker of task tensor: 4 numbers in, 3 out."""
    config = {"input_size": 4, "hidden_size": 5, "num_classes": 3}
    return load_worker(make_version("simple_net", config, TensorTask()), "statehouse.handlers.tensor")


def save(path: Path, architecture: str, config: dict[str, Any], task: Task | None) -> Path:
    torch.manual_seed(0)
    return save_checkpoint(
        path, build_model(architecture, config), architecture=architecture, config=config, task=task
    )


@pytest.fixture
def write_settings() -> Callable[..., None]:
    """Write the settings of a private folder anew, for the version folder as it is now."""
    return _write_settings


def _write_settings(private: Path, folder: Path, **changed: Any) -> None:
    status = {entry.name: entry.lstat() for entry in folder.iterdir()}
    settings = {
        "name": "model",
        "version": "1.0",
        "digest": DIGEST,
        "version_folder": str(folder),
        "checkpoint": "checkpoint.pt",
        "architecture": "simple_net",
        "files": {
            name: {"size_bytes": s.st_size, "mtime_ns": s.st_mtime_ns, "inode": s.st_ino}
            for name, s in status.items()
        },
        "architectures": [],
        "batch_size": 8,
        "threads": 1,
        "door": str(private / "d"),
        "max_request_bytes": 16 * 2**20,
        "request_timeout_seconds": 60,
        "metrics_folder": str(private),
        "failure_file": str(private / "failure.json"),
    }
    (private / "statehouse.json").write_text(json.dumps(settings | changed))
