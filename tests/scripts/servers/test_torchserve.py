"""The facts of TorchServe 0.12.0 that scripts/servers/torchserve.py stands on, each from a real one.

Handlers here are small modules of the test's own, so that a fact is told from what our handlers do.
"""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from statehouse.scripts.errors import TorchServeError
from statehouse.scripts.servers import torchserve as torchserve_module
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.servers.server_log import ServerLog
from statehouse.scripts.servers.torchserve import LOAD_TIMEOUT_SECONDS, Registration, TorchServe

RESPONSE_TIMEOUT_SECONDS = 60
HANDLERS = {
    "echo": """
class Echo:
    def initialize(self, context):
        self.version = context.manifest["model"]["modelVersion"]
    def handle(self, data, context):
        seen = [{"body": type(row.get("body")).__name__, "headers": context.get_all_request_header(i),
                 "version": self.version, "batch": len(data)} for i, row in enumerate(data)]
        for i, row in enumerate(data):
            if bytes(row.get("body", b"")) == b'"refuse"':
                context.set_response_status(422, "no", i)
        return [__import__("json").dumps(each) for each in seen]
""",
    "refuses": """
class Refuses:
    def initialize(self, context):
        raise RuntimeError("the reason")
    def handle(self, data, context):
        return data
""",
    "does_not_import": "import there_is_no_such_module\n",
    "two_classes": """
class One:
    def initialize(self, context): pass
    def handle(self, data, context): return data
class Two(One): pass
""",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Running:
    """TorchServe in an event loop of its own thread, and a client on its inference socket."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.runtime = RuntimeFolder(folder / "r")
        self.runtime.create()
        self.runtime.make_folders()
        handlers = folder / "handlers_of_the_test"
        handlers.mkdir()
        for name, source in HANDLERS.items():
            (handlers / f"test_{name}.py").write_text(source)
        self.log = ServerLog(self.runtime.path / "servers.log", lambda line: None)
        self.grpc_port, self.grpc_management_port = free_port(), free_port()
        self.torchserve = TorchServe(
            self.runtime,
            grpc_address=("127.0.0.1", self.grpc_port),
            grpc_management_port=self.grpc_management_port,
            max_request_bytes=100_000,
            python_path=[handlers],
            on_line=self.log.torchserve_line,
            say=self.log.say,
        )
        self.do(self.torchserve.start())
        transport = httpx.HTTPTransport(uds=str(self.runtime.inference_socket))
        headers = {"authorization": f"Bearer {self.torchserve.inference_token()}"}
        self.client = httpx.Client(transport=transport, base_url="http://t", headers=headers, timeout=30)

    def do(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result(timeout=90)

    def stop(self) -> None:
        self.client.close()
        self.do(self.torchserve.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.log.close()

    def register(self, name: str, version: str, *, handler: str) -> Registration:
        registration = Registration(name, version, batch_size=4, worker_count=1)
        self.torchserve.prepare(
            registration,
            handler=f"test_{handler}",
            settings="{}",
            response_timeout_seconds=RESPONSE_TIMEOUT_SECONDS,
        )
        self.log.worker_log(name, registration.torchserve_version)
        self.do(self.torchserve.register(registration))
        return registration

    def wait_until(self, condition: Any, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def ready(self, registration: Registration) -> bool:
        return self.do(self.torchserve.describe(registration)).ready_workers == registration.worker_count


FORKS_NOTHING = """
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listens", flush=True)
while True:
    {meanwhile}
"""


@pytest.mark.parametrize(
    ("meanwhile", "lives"),
    [("pass", True), ("listener.accept()[0].close()", True), ("time.sleep(1)", False)],
)
def test_a_fork_server_lives_that_answers_or_computes(
    monkeypatch: pytest.MonkeyPatch, meanwhile: str, lives: bool
) -> None:
    monkeypatch.setattr(torchserve_module, "FORK_ANSWER_SECONDS", 0.3)
    with tempfile.TemporaryDirectory(prefix="st-") as folder:
        path = Path(folder) / "fork.sock"
        torchserve = TorchServe(
            SimpleNamespace(fork_socket=path),  # type: ignore[arg-type]
            grpc_address=("127.0.0.1", 1),
            grpc_management_port=2,
            max_request_bytes=1,
            python_path=[],
            on_line=print,
            say=print,
        )
        code = FORKS_NOTHING.format(meanwhile=meanwhile)
        command = [sys.executable, "-ISc", code, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "listens\n"  # the path is there a moment sooner
                torchserve.fork_server = SimpleNamespace(pid=process.pid)  # type: ignore[assignment]
                looks = [asyncio.run(torchserve._fork_server_lives()) for _ in range(4)]
            finally:
                process.kill()
    assert looks[1:] == [lives] * 3  # the first has nothing to compare with


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    running = Running(folder)
    yield running
    running.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def echo(running: Running) -> Registration:
    registration = running.register("echo", "1.0", handler="echo")
    running.wait_until(lambda: running.ready(registration))
    return registration


def test_a_folder_without_an_archive_is_registered_by_its_name(running: Running, echo: Registration) -> None:
    answer = running.client.post("/predictions/echo", content=b"{}").json()
    assert answer["version"] == "1.0-g0"


def test_a_worker_s_timeouts_are_those_of_its_registration(running: Running, echo: Registration) -> None:
    """Those that registering says are ignored where the folder has a configuration: then it is 120 s for both."""
    [described] = running.do(running.torchserve._manage("GET", "/models/echo/1.0-g0"))
    assert described["responseTimeout"] == RESPONSE_TIMEOUT_SECONDS
    assert described["startupTimeout"] == LOAD_TIMEOUT_SECONDS


def test_it_counts_what_is_read_and_no_more(running: Running, echo: Registration) -> None:
    """It tells for ever of each registration that there ever was."""
    running.client.post("/predictions/echo", content=b"{}")
    transport = httpx.HTTPTransport(uds=str(running.runtime.metrics_socket))
    with httpx.Client(transport=transport, base_url="http://t") as client:
        page = client.get("/metrics").text
    told = {line.partition("{")[0] for line in page.splitlines() if line and not line.startswith("#")}
    assert told - {"PredictionTime"} == {  # by name, of workers that read and write as TorchServe ships it
        "ts_inference_requests_total",
        "ts_inference_latency_microseconds",
        "ts_queue_latency_microseconds",
    }


def test_registering_does_not_wait_for_the_workers(running: Running) -> None:
    registration = running.register("refuses", "1.0", handler="refuses")
    assert not running.ready(registration)
    worker_log = running.log.worker_log("refuses", "1.0-g0")
    running.wait_until(lambda: worker_log.reason() == "RuntimeError: the reason")
    running.do(running.torchserve.unregister(registration))
    with pytest.raises(TorchServeError, match="404"):
        running.do(running.torchserve.describe(registration))


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        ("does_not_import", "No module named 'there_is_no_such_module'"),
        ("two_classes", "Expected only one class"),
    ],
)
def test_the_log_tells_why_a_handler_did_not_load(running: Running, handler: str, reason: str) -> None:
    registration = running.register(handler, "1.0", handler=handler)
    worker_log = running.log.worker_log(handler, "1.0-g0")
    running.wait_until(lambda: reason in worker_log.reason())
    assert worker_log.deaths
    running.do(running.torchserve.unregister(registration))


def test_bodies_arrive_as_bytes_and_paths_as_a_header(running: Running, echo: Registration) -> None:
    headers = {"content-type": "application/json"}
    answer = running.client.post("/predictions/echo/1.0-g0/v2", content=b'{"a": 1}', headers=headers).json()
    assert answer["body"] == "bytearray"
    assert answer["headers"]["url_path"] == "v2"


def test_one_row_may_be_refused_alone(running: Running, echo: Registration) -> None:
    assert running.client.post("/predictions/echo", content=b'"refuse"').status_code == 422
    assert running.client.post("/predictions/echo", content=b"{}").status_code == 200


def test_its_404_has_the_form_that_the_front_gives_too(running: Running, echo: Registration) -> None:
    assert running.client.post("/predictions/nope").json() == {
        "code": 404,
        "type": "ModelNotFoundException",
        "message": "Model not found: nope",
    }
    unknown = running.client.post("/predictions/echo/9").json()
    assert unknown["type"] == "ModelVersionNotFoundException"
    assert unknown["message"] == "Model version: 9 does not exist for model: echo"


def test_the_default_is_a_pointer_that_moves_at_once(running: Running, echo: Registration) -> None:
    newer = running.register("echo", "2.0", handler="echo")
    running.wait_until(lambda: running.ready(newer))
    assert running.client.post("/predictions/echo", content=b"{}").json()["version"] == "1.0-g0"
    running.do(running.torchserve.set_default(newer))
    assert running.client.post("/predictions/echo", content=b"{}").json()["version"] == "2.0-g0"
    running.do(running.torchserve.set_default(echo))
    running.do(running.torchserve.unregister(newer))


def test_nothing_answers_without_its_token(running: Running, echo: Registration) -> None:
    for authorization in ("", "Bearer wrong"):
        answer = running.client.post(
            "/predictions/echo", content=b"{}", headers={"authorization": authorization}
        )
        assert answer.status_code == 400
        assert "oken" in answer.json()["message"]


def test_the_same_registration_twice_is_refused(running: Running, echo: Registration) -> None:
    with pytest.raises(TorchServeError, match="409"):
        running.do(running.torchserve.register(echo))


def test_a_folder_outside_its_store_is_not_registered(running: Running, tmp_path: Path) -> None:
    transport = httpx.HTTPTransport(uds=str(running.runtime.management_socket))
    keys = json.loads((running.runtime.java_folder / "key_file.json").read_text())
    headers = {"authorization": f"Bearer {keys['management']['key']}"}
    with httpx.Client(transport=transport, base_url="http://t", headers=headers, timeout=30) as client:
        for url in ("file:///etc/passwd", "https://127.0.0.1:1/x.mar", "../java"):
            assert client.post("/models", params={"url": url}).is_error


def test_a_chunked_body_over_the_limit_is_not_taken(running: Running, echo: Registration) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    with contextlib.suppress(httpx.TransportError):  # it may hang up while we still send
        assert running.client.post("/predictions/echo", content=chunks()).status_code == 413
    assert running.client.post("/predictions/echo", content=b"{}").status_code == 200


def test_only_its_grpc_ports_are_on_tcp(running: Running) -> None:
    """Everything else is a socket in a folder that only its owner may enter."""
    tables = (Path(f"/proc/{running.torchserve.process.pid}/net/{table}") for table in ("tcp", "tcp6"))
    sockets = {line.split()[9]: line.split() for t in tables for line in t.read_text().splitlines()[1:]}
    fds = Path(f"/proc/{running.torchserve.process.pid}/fd").iterdir()
    inodes = {fd.readlink().name.removeprefix("socket:[").rstrip("]") for fd in fds if fd.is_symlink()}
    listening = {
        int(fields[1].rpartition(":")[2], 16)
        for inode, fields in sockets.items()
        if inode in inodes and fields[3] == "0A"
    }
    assert listening == {running.grpc_port, running.grpc_management_port}
