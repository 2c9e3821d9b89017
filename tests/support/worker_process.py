"""One worker as TorchServe starts it, without TorchServe: its own script, told to load over a unix socket."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from statehouse.handlers.golden import GOLDEN_FILE, Golden, write_golden
from statehouse.handlers.worker import fork_client
from statehouse.handlers.worker.settings import SETTINGS_FILE
from statehouse.models import Task
from statehouse.models.example import Example

PROJECT = Path(__file__).resolve().parents[2]
END = struct.pack("!i", -1)
OK = 200


class WorkerProcess:
    """A worker process that holds one version; `ready_seconds` is from its start until it had proved itself."""

    def __init__(
        self,
        private: Path,
        handler: str,
        *,
        python: Sequence[str] = (sys.executable,),
        environment: Mapping[str, str] = {},
        errors: Path | None = None,
    ) -> None:
        package = importlib.util.find_spec("ts")
        if package is None or not package.submodule_search_locations:
            raise SystemExit("torchserve is not installed: make serve")
        ts = Path(package.submodule_search_locations[0])
        path = private / f"worker.{time.monotonic_ns()}"
        script = (str(ts / "model_service_worker.py"), "--sock-type", "unix", "--sock-name", str(path))
        self.pid = -1
        self._errors = errors.open("wb") if errors else subprocess.DEVNULL
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [*python, *script, "--metrics-config", str(ts / "configs" / "metrics.yaml")],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PROJECT / "src"),
                "TS_DECODE_INPUT_REQUEST": "false",
                "PYTHONUNBUFFERED": "1",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._read_pid()
        self._socket = self._connected(path)
        self.listening_seconds = time.perf_counter() - began
        self._socket.sendall(_load_message(private, handler))
        self._read_answer()
        self.ready_seconds = time.perf_counter() - began

    def _read_pid(self) -> None:
        if self.process.stdout is None:
            raise SystemExit("the worker has no output to read")
        for line in self.process.stdout:
            if line.startswith(b"[PID]"):
                self.pid = int(line.removeprefix(b"[PID]"))
                self._drain = threading.Thread(target=self.process.stdout.read, daemon=True)
                self._drain.start()
                return
        raise SystemExit("the worker ended before it listened")

    def _connected(self, path: Path) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        while True:
            try:
                connection.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None:
                    raise SystemExit("the worker ended before it listened") from None
                time.sleep(0.001)
            else:
                return connection

    def _read_answer(self) -> None:
        [code] = struct.unpack("!i", self._exactly(4))
        said = self._exactly(struct.unpack("!i", self._exactly(4))[0])
        if code != OK:
            raise SystemExit(f"the worker answers {code}: {said.decode()}")
        while struct.unpack("!i", self._exactly(4))[0] != -1:
            pass

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise SystemExit("the worker hung up; its failure file says why")
            data += more
        return data

    def predict(self, body: bytes, content_type: str = "application/json") -> bytes:
        """The whole answer to one request, as the worker writes it; SystemExit unless it is a 200."""
        self._socket.sendall(_predict_message(body, content_type))
        [code] = struct.unpack("!i", self._exactly(4))
        self._exactly(struct.unpack("!i", self._exactly(4))[0])
        answer = b""
        while (length := struct.unpack("!i", self._exactly(4))[0]) != -1:
            self._exactly(length)  # the request's id
            self._field()  # content type
            [status] = struct.unpack("!i", self._exactly(4))
            self._field()  # the status' phrase
            [headers] = struct.unpack("!i", self._exactly(4))
            for _ in range(2 * headers):
                self._field()
            answer = self._field()
            if (code, status) != (OK, OK):
                raise SystemExit(f"the worker answers {code}, {status}: {answer.decode()}")
        return answer

    def _field(self) -> bytes:
        return self._exactly(struct.unpack("!i", self._exactly(4))[0])

    def memory_kib(self, field: str) -> int:
        """A field of `smaps_rollup`, `Pss` or `Private_Dirty`, over the process and what was forked for it."""
        return sum(_smaps(pid)[field] for pid in {self.process.pid, self.pid})

    def stop(self) -> None:
        """End it."""
        self._socket.close()
        self.process.kill()
        self.process.wait()
        self._drain.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self._errors is not subprocess.DEVNULL:
            self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _predict_message(body: bytes, content_type: str) -> bytes:
    def text(value: bytes) -> bytes:
        return struct.pack("!i", len(value)) + value

    kind = content_type.encode()
    header = text(b"content-type") + text(kind) + END
    return b"I" + text(b"0") + header + text(b"body") + text(kind) + text(body) + END + END


def _load_message(private: Path, handler: str) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("!i", len(value)) + value.encode()

    batch_size, no_gpu = struct.pack("!i", 8), struct.pack("!i", -1)
    return b"".join(
        (b"L", text("model"), text(str(private)), batch_size, text(handler), no_gpu, text(""), b"\x01")
    )


def _smaps(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}


class ForkServer:
    """`statehouse.handlers.worker.fork_server` in a folder of its own; `client` is what a worker is started with."""

    def __init__(self, folder: Path) -> None:
        path = folder / f"fork.{time.monotonic_ns()}"
        self.client = (sys.executable, "-IS", fork_client.__file__, str(path))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "statehouse.handlers.worker.fork_server", str(path)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT / "src")},
        )
        while not path.exists():
            time.sleep(0.01)

    def memory_kib(self, field: str) -> int:
        """A field of `smaps_rollup`."""
        return _smaps(self._process.pid)[field]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def make_version(
    folder: Path, architecture: str, config: Mapping[str, object], task: Task, **settings: object
) -> tuple[Path, Path]:
    """Save a module with random weights and a golden example of it; return its checkpoint and private folder."""
    import torch

    from statehouse.handlers.base import CheckpointHandler
    from statehouse.models import build_model, load_checkpoint, save_checkpoint

    torch.manual_seed(0)
    version, private = folder / "model-1.0", folder / "private"
    version.mkdir(parents=True)
    private.mkdir()
    path = save_checkpoint(
        version / "checkpoint.pt",
        build_model(architecture, config),
        architecture=architecture,
        config=config,
        task=task,
    )
    handler = CheckpointHandler.from_checkpoint(load_checkpoint(path))
    made = handler.make_example()
    response = json.loads(handler.answer([made])[0].body)
    example = Example(content_type=made.content_type, body=bytes(made.body), response=response)
    write_golden(version / GOLDEN_FILE, Golden(source="made", examples=[example]))
    identities = {}
    for entry in version.iterdir():
        status = entry.lstat()
        identities[entry.name] = {
            "size_bytes": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "inode": status.st_ino,
        }
    told = {
        "name": "model",
        "version": "1.0",
        "digest": "0" * 64,
        "version_folder": str(version),
        "checkpoint": path.name,
        "files": identities,
        "door": str(private / "d"),
        "max_request_bytes": 16 * 2**20,
        "request_timeout_seconds": 60,
        "metrics_folder": str(private),
        "failure_file": str(private / "failure.json"),
        **settings,
    }
    (private / SETTINGS_FILE).write_text(json.dumps(told))
    return path, private
