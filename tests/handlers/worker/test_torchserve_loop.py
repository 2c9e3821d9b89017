"""Two real worker processes of TorchServe, one reading and writing as shipped, must say the same bytes.

The one with our loop serves its door, too, whatever TorchServe says meanwhile.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import ts
from conftest import METRICS_CONFIG, Sent, decode_responses, encode_batch
from tests.support.served_door import Client
from ts import model_service_worker, service
from ts.protocol import otf_message_handler

from statehouse.handlers.errors import ForeignTorchServeError
from statehouse.handlers.worker import torchserve_loop as worker_io
from statehouse.handlers.worker.torchserve_source import SOURCE_DIGESTS
from statehouse.models import TensorTask

ROOT = Path(__file__).parents[3]
WORKER = Path(ts.__file__).parent / "model_service_worker.py"
SHIPPED = f"""
import runpy, sys
from statehouse.handlers import base
base.install = lambda *arguments: False
sys.argv[0] = {str(WORKER)!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
NET = {"input_size": 4, "hidden_size": 5, "num_classes": 3}
JSON = "application/json"
RAW = struct.pack("<4f", 1, 2, 3, 4)


class WorkerProcess:
    """`ts/model_service_worker.py`, started and spoken to as Java does."""

    def __init__(self, folder: Path, private: Path, *, fast: bool) -> None:
        self.private = private
        name = str(folder / "s.9000")
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TS_DECODE_INPUT_REQUEST": "false"}
        environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
        self.process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    *((str(WORKER),) if fast else ("-c", SHIPPED)),
                    "--sock-type",
                    "unix",
                    "--sock-name",
                    name,
                ),
                *("--metrics-config", str(METRICS_CONFIG)),
            ],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 60
        while self.socket.connect_ex(name) != 0:
            assert time.monotonic() < deadline, "the worker does not listen"
            time.sleep(0.05)
        self.socket.settimeout(60)
        self.socket.sendall(load_message(private))
        self.loaded = self.receive()

    def receive(self, count: int = 1) -> bytes:
        """So many whole answers."""
        message = b""
        while (end := end_of_answers(message, count)) is None:
            more = self.socket.recv(2**20)
            assert more, "the worker has gone"
            message += more
        assert end == len(message)
        return message

    def ask(self, message: bytes, *, cuts: tuple[int, ...] = (), count: int = 1) -> bytes:
        """The answer to a message that is sent in pieces."""
        for begin, end in pairwise([0, *cuts, len(message)]):
            self.socket.sendall(message[begin:end])
            time.sleep(0.01 if cuts else 0)
        return self.receive(count)

    def leave(self) -> tuple[int, str]:
        """Hang up: the exit status, and all that it printed."""
        self.socket.close()
        printed, _ = self.process.communicate(timeout=240)
        return self.process.returncode, printed


def end_of_answers(message: bytes, count: int) -> int | None:
    """Where the last of `count` answers ends; None while something is missing."""
    position = 0

    def integer() -> int:
        nonlocal position
        position += 4
        return struct.unpack_from("!i", message, position - 4)[0]

    def skip_text() -> None:
        nonlocal position
        length = integer()
        position += length

    try:
        for _ in range(count):
            integer()
            skip_text()
            while (length := integer()) != -1:
                position += length
                skip_text()
                integer()
                skip_text()
                for _ in range(2 * integer()):
                    skip_text()
                skip_text()
    except struct.error:
        return None
    return position


def load_message(private: Path) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("!i", len(value)) + value.encode()

    head = [b"L", text("model"), text(str(private)), struct.pack("!i", 8), text("statehouse.handlers.tensor")]
    return b"".join([*head, struct.pack("!i", -1), text(""), b"\1"])


@pytest.fixture
def start(make_version, tmp_path):
    """Start a worker of task tensor: 4 numbers in, 3 out."""
    private = make_version("simple_net", NET, TensorTask())
    workers = []

    def start_one(*, fast: bool) -> WorkerProcess:
        folder = tmp_path / f"w{len(workers)}"
        folder.mkdir()
        workers.append(WorkerProcess(folder, private, fast=fast))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.socket.close()
        with worker.process:
            worker.process.kill()


def posted(body: bytes, kind: str = JSON, **headers: str) -> Sent:
    named = {name.replace("_", "-") if name != "url_path" else name: text for name, text in headers.items()}
    every = {"content-type": kind, "host": "x", "content-length": str(len(body)), **named}
    return Sent([("body", kind, body)], every)


TENSOR = {"name": "input", "datatype": "FP32", "shape": [1, 4]}
V2 = json.dumps({"id": "a", "inputs": [{**TENSOR, "data": [1, 2, 3, 4]}]}).encode()
V2_HEAD = json.dumps(
    {
        "inputs": [{**TENSOR, "parameters": {"binary_data_size": 16}}],
        "parameters": {"binary_data_output": True},
    }
).encode()
BATCHES = {
    "json": [posted(b'{"inputs": [1, 2, 3, 4]}'), posted(b'{"inputs": [-1, 2.5, 3, 400]}')],
    "one": [posted(b'{"instances": [[1, 2, 3, 4]]}')],
    "other heads": [posted(RAW, "application/octet-stream"), posted(V2, url_path="v2"), posted(RAW, "Text/X")],
    "binary": [posted(V2_HEAD + RAW, url_path="v2", Inference_Header_Content_Length=str(len(V2_HEAD)))],
    "problems": [posted(b"{"), posted(b""), posted(b'{"inputs": [1, 2, 3]}'), posted(b"x", content_encoding="gzip")],
    "gRPC": [Sent([("body", "", b'{"inputs": [1, 2, 3, 4]}')]), Sent([]), Sent([("a", "", b"1"), ("b", "", b"2")])],
    "query": [Sent([("verbose", "", b"1"), ("body", JSON, b'{"inputs": [1, 2, 3, 4]}')], {"Content-Type": JSON})],
    "odd names": [
        Sent([("body", JSON, b"\x89PNG")], {"body": "a client's header", "Content-Type": JSON}),
        Sent([("bödy", "", RAW)], {"é": "ü", "x-statehouse-uncounted": "1"}),
        posted(b"", describe="True"),
        posted(b'{"inputs": [1, 2, 3, 4]}', explain="True"),
    ],
    "large": [posted(b'{"inputs": [1, 2, 3, 4]' + b" " * 3_000_000 + b"}")] * 2,
    "none": [],
}  # fmt: skip


def test_a_fast_worker_answers_as_the_shipped_one_does(start):
    fast, shipped = start(fast=True), start(fast=False)
    assert fast.loaded == shipped.loaded
    for name, batch in [*BATCHES.items(), *BATCHES.items()]:
        message = encode_batch(batch)
        answer = fast.ask(message)
        assert answer == shipped.ask(message), name
        assert len(decode_responses(answer)) == len(batch)
    assert [worker.leave()[0] for worker in (fast, shipped)] == [0, 0]


def test_a_message_may_come_in_any_pieces_and_two_at_once(start):
    fast = start(fast=True)
    message = encode_batch(BATCHES["other heads"])
    whole = fast.ask(message)
    for cut in range(1, len(message), 29):
        assert fast.ask(message, cuts=(cut,)) == whole
    assert fast.ask(message + message, count=2) == whole + whole
    assert fast.ask(message + message[:50], cuts=(7,)) == whole
    assert fast.ask(message[50:]) == whole


def test_its_door_is_served_while_torchserve_sends_batches(start):
    worker = start(fast=True)
    [small] = worker.private.glob("d.*.small")
    asked, failed = [0], []

    def ask_on() -> None:
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(str(small))
        with connected:
            client = Client(connected)
            while not done.is_set():
                answer = client.ask(b'{"inputs": [1, 2, 3, 4]}', content_type=JSON)
                asked[0] += 1
                if answer.status_line != "OK" or "outputs" not in json.loads(answer.body):
                    failed.append(answer)

    done = threading.Event()
    thread = threading.Thread(target=ask_on)
    thread.start()
    message = encode_batch(BATCHES["json"])
    whole = worker.ask(message)
    for _ in range(200):
        assert worker.ask(message) == whole
    done.set()
    thread.join(30)
    assert failed == []
    assert asked[0] > 50
    assert worker.leave()[0] == 0


def test_a_load_message_after_requests_goes_to_torchserve_s_own_code(start, tmp_path):
    fast = start(fast=True)
    fast.ask(encode_batch(BATCHES["one"]))
    told = fast.ask(load_message(tmp_path / "nowhere"))
    assert struct.unpack_from("!i", told) == (500,)
    assert "statehouse.json" in fast.leave()[1]


def test_an_unknown_command_ends_the_worker_as_shipped(start):
    workers = [start(fast=fast) for fast in (True, False)]
    for worker in workers:
        worker.socket.sendall(b"X")
        printed, _ = worker.process.communicate(timeout=240)
        assert "Invalid command" in printed
        assert worker.process.returncode == 1


@pytest.fixture
def as_worker(monkeypatch):
    """This process stands for a worker; what is replaced in it comes back."""
    monkeypatch.setitem(sys.modules, "__main__", model_service_worker)
    monkeypatch.setattr(model_service_worker, "retrieve_msg", otf_message_handler.retrieve_msg)
    monkeypatch.setattr(service.Service, "predict", service.Service.predict)


@pytest.mark.usefixtures("as_worker")
def test_torchserve_is_as_expected():
    assert worker_io.install(no_door, lambda requests: [])
    assert model_service_worker.retrieve_msg is not otf_message_handler.retrieve_msg


def no_door():
    """Of a worker that only TorchServe talks to."""
    return SimpleNamespace(serve_until_readable=lambda descriptor: None)


def refuses() -> str:
    before = service.Service.predict
    with pytest.raises(ForeignTorchServeError) as refused:
        worker_io.install(no_door, lambda requests: [])
    assert service.Service.predict is before
    return str(refused.value)


@pytest.mark.usefixtures("as_worker")
def test_another_torchserve_is_refused(monkeypatch):
    monkeypatch.setitem(SOURCE_DIGESTS, "service.py", "0" * 64)
    told = refuses()
    assert "service.py is not TorchServe 0.12.0's" in told
    assert "install torchserve==0.12.0" in told


@pytest.mark.usefixtures("as_worker")
def test_what_somebody_else_replaced_is_refused(monkeypatch):
    monkeypatch.setattr(service.Service, "predict", lambda self, batch: b"")
    assert "Service.predict is replaced already" in refuses()


@pytest.mark.usefixtures("as_worker")
def test_one_of_several_processes_is_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert "several processes" in refuses()


def test_outside_a_worker_nothing_is_replaced(caplog):
    before = service.Service.predict
    assert not worker_io.install(no_door, lambda requests: [])
    assert (service.Service.predict, caplog.messages) == (before, [])


@pytest.mark.usefixtures("as_worker")
@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (MemoryError("all"), 507, b"Out of resources"),
        (RuntimeError("CUDA out of memory"), 507, b"Out of resources"),
        (RuntimeError("else"), 503, b"Prediction failed"),
    ],
)
def test_a_batch_that_fails_as_a_whole_is_told_as_torchserve_tells_it(error, code, told):
    def fail(requests):
        raise error

    batches = []
    for install in (False, True):
        if install:
            assert worker_io.install(no_door, fail)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(encode_batch(BATCHES["json"]))
            _, batch = model_service_worker.retrieve_msg(theirs)
        shipped = service.Service("model", "/nowhere", None, lambda data, context: fail(data), None, 8)
        shipped.context.metrics = type("Metrics", (), {})()
        shipped.set_cl_socket(None)
        batches.append(bytes(shipped.predict(batch)))
    assert batches[0] == batches[1]
    assert struct.unpack_from("!i", batches[0]) == (code,)
    assert told in batches[0]
