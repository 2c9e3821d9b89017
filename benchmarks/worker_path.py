"""What a worker spends per request beside its module: ours, and TorchServe's own reading and writing, in one run.

    python -m benchmarks.worker_path

The 784-256-10 network, one thread. A batch is put into a socket as TorchServe does, read, answered and written back;
each figure is the median over the rounds, in µs per request. "shipped" is the same handler behind TorchServe's own
code.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import struct
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

os.environ["TS_DECODE_INPUT_REQUEST"] = "false"  # as config.properties says it

import ts
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.protocol.otf_message_handler import retrieve_msg
from ts.service import Service

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.worker.messages import Inbox, Outbox
from statehouse.handlers.worker.metrics import WorkerMetrics
from statehouse.models import TensorTask, build_model, import_architectures, load_checkpoint, save_checkpoint

SMALL = {"input_size": 784, "hidden_size": 256, "num_classes": 10}
BATCH_SIZES = (1, 8, 32)
PARTS = ("read", "decode", "preprocess", "inference", "postprocess", "metrics", "encode", "write")
SOCKET_BYTES = 2**22
TURN = 20  # batches in a row, before it is the other way's turn
HEADERS = {
    "host": "127.0.0.1:8080",
    "user-agent": "python-httpx/0.28.1",
    "accept": "*/*",
    "accept-encoding": "gzip, deflate",
    "authorization": "Bearer 0123456789abcdef",
    "x-request-start": "t=1",
}


class Sent(NamedTuple):
    """One request: its content type, its own headers, its body."""

    content_type: str
    headers: dict[str, str]
    body: bytes


def json_request(row: np.ndarray[Any, Any]) -> Sent:
    """`{"inputs": […]}`, 6 KB."""
    return Sent("application/json", {}, json.dumps({"inputs": row.round(4).tolist()}).encode())


def raw_request(row: np.ndarray[Any, Any]) -> Sent:
    """Float32, little-endian."""
    return Sent("application/octet-stream", {}, row.astype("<f4").tobytes())


def v2_json_request(row: np.ndarray[Any, Any]) -> Sent:
    """Open Inference Protocol, all JSON."""
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 784], "data": row.round(4).tolist()}
    return Sent("application/json", {"url_path": "v2"}, json.dumps({"inputs": [tensor]}).encode())


def v2_binary_request(row: np.ndarray[Any, Any]) -> Sent:
    """Open Inference Protocol, binary both ways."""
    tensor = {
        "name": "input",
        "datatype": "FP32",
        "shape": [1, 784],
        "parameters": {"binary_data_size": 3136},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"url_path": "v2", "inference-header-content-length": str(len(head))}
    return Sent("application/octet-stream", headers, head + row.astype("<f4").tobytes())


REQUESTS: dict[str, Callable[[np.ndarray[Any, Any]], Sent]] = {
    "JSON": json_request,
    "raw float32": raw_request,
    "v2 JSON": v2_json_request,
    "v2 binary": v2_binary_request,
}


def encode_batch(requests: list[Sent]) -> bytes:
    """The message that TorchServe sends."""

    def text(value: str | bytes) -> bytes:
        data = value.encode() if isinstance(value, str) else value
        return struct.pack("!i", len(data)) + data

    end = struct.pack("!i", -1)
    pieces = [b"I"]
    for index, request in enumerate(requests):
        own = {
            "content-type": request.content_type,
            "content-length": str(len(request.body)),
            "traceparent": f"00-{uuid4().hex}-b7ad6b7169203331-00",
        }
        headers = {**HEADERS, **own, **request.headers}
        pieces.append(text(f"0b5e2d1c-0000-4000-8000-{index:012d}"))
        pieces += [text(name) + text(value) for name, value in headers.items()]
        pieces += [end, text("body"), text(request.content_type), text(request.body), end]
    return b"".join([*pieces, end])


class Bench:
    """One handler, served in both ways over one socket pair."""

    def __init__(self, folder: Path) -> None:
        import_architectures([])
        path = folder / "checkpoint.pt"
        save_checkpoint(
            path, build_model("simple_net", SMALL), architecture="simple_net", config=SMALL, task=TensorTask()
        )
        self.handler = CheckpointHandler.from_checkpoint(
            load_checkpoint(path), name="bench", version="1.0", digest="d" * 64
        )
        self.handler.metrics = self.metrics = WorkerMetrics(folder, name="bench", version="1.0")
        self.java, self.worker = socket.socketpair()
        for end in (self.java, self.worker):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self.inbox, self.outbox = Inbox(self.worker), Outbox()
        cache = MetricsCacheYamlImpl(
            config_file_path=str(Path(ts.__file__).parent / "configs" / "metrics.yaml")
        )
        cache.initialize_cache()
        cache.model_name = "bench"
        self.service = Service("bench", str(folder), None, self.handler.handle, None, 32, True, cache)
        self.service.set_cl_socket(self.worker)

    @contextmanager
    def exchange(self, message: bytes) -> Iterator[None]:
        """Put `message` into the socket before, and take the answer out after."""
        self.java.sendall(message)
        yield
        self.java.setblocking(False)
        try:
            while self.java.recv(2**20):
                pass
        except BlockingIOError:
            self.java.setblocking(True)

    def ours(self, message: bytes) -> dict[str, float]:
        """Seconds of every part of answering `message`."""
        clock, metrics = time.perf_counter, self.metrics
        with self.exchange(message):
            times = [clock()]
            self.inbox.next_command()
            batch = self.inbox.read_batch()
            times.append(clock())
            metrics.begin(len(batch.requests))
            times.append(clock())
            responses = self.handler.answer(batch.requests, metrics)
            times.append(clock())
            metrics.finish(responses)
            times.append(clock())
            answer = self.outbox.encode(batch.identifiers, responses)
            times.append(clock())
            self.worker.sendall(answer)
            times.append(clock())
        if any(response.status != 200 for response in responses):
            raise RuntimeError(f"a request was refused: {responses[0].body!r}")
        read, begin, _, finish, encode, write = np.diff(times)
        phases = dict(metrics._laps.seconds)
        return {
            **phases,
            **{"read": read, "metrics": begin + finish, "encode": encode, "write": write},
        }

    def shipped(self, message: bytes) -> float:
        """Seconds outside the module, with TorchServe's own reading and writing."""
        with self.exchange(message):
            began = time.perf_counter()
            _, batch = retrieve_msg(self.worker)
            self.worker.sendall(self.service.predict(batch))
            return time.perf_counter() - began - self.metrics._laps.seconds["inference"]


def measure(bench: Bench, payload: str, batch_size: int, rounds: int) -> dict[str, Any]:
    """Medians in µs per request."""
    rng = np.random.default_rng(0)
    messages = [
        encode_batch([REQUESTS[payload](rng.standard_normal(784)) for _ in range(batch_size)])
        for _ in range(4)
    ]
    parts: dict[str, list[float]] = defaultdict(list)
    shipped: list[float] = []
    for number in range(rounds // TURN + 1):
        ours = [bench.ours(messages[turn % 4]) for turn in range(TURN)]
        theirs = [bench.shipped(messages[turn % 4]) for turn in range(TURN)]
        if number == 0:
            continue  # warming up
        shipped += theirs
        for seconds in ours:
            seconds["outside"] = sum(seconds.values()) - seconds["inference"]
            for part, value in seconds.items():
                parts[part].append(value)
    each = 1e6 / batch_size
    figures = {part: median(values) * each for part, values in parts.items()}
    return {"payload": payload, "batch": batch_size, **figures, "shipped": median(shipped) * each}


def print_table(rows: list[dict[str, Any]]) -> None:
    """The figures, one line per payload and batch size."""
    table = Table(title="µs per request, 784-256-10 network, medians", title_justify="left")
    for name in ("payload", "batch"):
        table.add_column(name, justify="right" if name == "batch" else "left")
    for part in PARTS:
        table.add_column("module" if part == "inference" else part, justify="right")
    table.add_column("outside\nmodule", justify="right", style="bold")
    table.add_column("same,\nshipped i/o", justify="right")
    table.add_column("ratio", justify="right")
    for row in rows:
        figures = [f"{row[part]:.1f}" for part in (*PARTS, "outside", "shipped")]
        ratio = f"{row['shipped'] / row['outside']:.1f}"
        table.add_row(
            row["payload"], str(row["batch"]), *figures, ratio, end_section=row["batch"] == BATCH_SIZES[-1]
        )
    Console(width=140).print(table)


def main() -> None:
    """Measure every payload at every batch size, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger().setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        rows = [
            measure(bench, payload, batch_size, arguments.rounds)
            for payload in REQUESTS
            for batch_size in BATCH_SIZES
        ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
