"""Hundreds of clients who hold on, hang up or never end, while others are served: counted, never timed."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.control import ControlClient
from tests.faults.conftest import FaultyServer
from tests.faults.load import MOST_IN_FLIGHT, CountedLoad
from tests.scripts.test_front_smuggling import LAST, SHAPES

PATH = "/predictions/moody"
SLOW_CLIENTS = 500
ABORTED = 1000
GROWTH_BYTES = 512 << 20  # of all processes together; what 500 clients could make them keep is much more
FRONT_S_OWN = (b"404", b"405", b"408", b"413", b"501", b"503")
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(served: FaultyServer) -> FaultyServer:
    """A server, and as many open files here as there are clients to be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    served.serving()
    return served


@pytest.fixture
def others(server: FaultyServer) -> Iterator[CountedLoad]:
    """Clients who behave, all along: each of their requests is answered, by the same processes, in bounded memory."""
    before, memory_bytes = processes(server), memory_of(server)
    with server.load(rate=20, connections=2) as load:
        server.wait_until(lambda: load.answered > 20)
        yield load
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert load.result.answers.keys() == {(200, "1.0")}, load.result
    assert not load.result.errors
    assert processes(server) == before
    assert memory_of(server) < memory_bytes + GROWTH_BYTES


def processes(server: FaultyServer) -> dict[str, Any]:
    status = server.status()
    return status["pids"] | {"workers": status["models"][0]["workers"]["pids"]}


def memory_of(server: FaultyServer) -> int:
    found = processes(server)
    pids = [found["front"], found["torchserve"], *found["workers"]]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sum(pages) * resource.getpagesize()


def connect(server: FaultyServer) -> socket.socket:
    host, port = server.announced["front"].removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=60)


def body_of(rows: int) -> bytes:
    return json.dumps({"instances": [[0.0, 2.0, 3.0, 4.0]] * rows}).encode()


def request_of(body: bytes) -> bytes:
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextlib.contextmanager
def clients(
    server: FaultyServer, count: int, sent: bytes, receive_bytes: int = 0
) -> Iterator[list[socket.socket]]:
    """So many clients who have sent this and nothing more."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(connect(server))
            if receive_bytes:
                opened[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            opened[-1].sendall(sent)
        yield opened
    finally:
        for client in opened:
            client.close()


def read_all(client: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while got := client.recv(65536):
            received += got
    return received


def test_clients_who_do_not_end_their_request_hold_up_nobody(
    server: FaultyServer, others: CountedLoad
) -> None:
    """Half of them stop within the headers, half within the body; all are told so, and none reaches a worker."""
    body = request_of(body_of(1))
    with (
        clients(server, SLOW_CLIENTS // 2, HEAD.encode()) as in_headers,
        clients(server, SLOW_CLIENTS // 2, body[:-20]) as in_body,
    ):
        beyond = others.answered + 100
        server.wait_until(lambda: others.answered > beyond)
        metrics = server.reader.get("/metrics").text
        [in_flight] = [
            line for line in metrics.splitlines() if line.startswith("statehouse_front_in_flight{")
        ]
        assert float(in_flight.split()[1]) <= MOST_IN_FLIGHT  # those of who behave
        told = [read_all(client) for client in in_headers]
        told_in_form = [read_all(client) for client in in_body]
    assert {answer[:12] for answer in told + told_in_form} == {b"HTTP/1.1 408"}
    assert all(b"urn:statehouse:problem:request-timeout" in answer for answer in told_in_form)


def test_clients_who_do_not_read_their_answer_hold_up_nobody(
    server: FaultyServer, others: CountedLoad
) -> None:
    with clients(server, SLOW_CLIENTS, request_of(body_of(500)), receive_bytes=2048) as slow:
        beyond = others.answered + 100
        server.wait_until(lambda: others.answered > beyond)
        first = slow[0].recv(12)
    assert first in (b"HTTP/1.1 200", b"HTTP/1.1 503")  # or the queue was full


def test_clients_who_hang_up_before_their_answer(server: FaultyServer, others: CountedLoad) -> None:
    sent = request_of(body_of(1))
    for number in range(ABORTED):
        with connect(server) as client:
            # Half of them close, half reset; a third within the body.
            client.sendall(sent[: len(sent) - 5 * (number % 3 == 0)])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))


def test_clients_who_hang_up_over_grpc(server: FaultyServer, others: CountedLoad) -> None:
    import grpc

    from scripts.load_test.grpc_messages import PREDICTIONS, encode_request

    status = server.status()
    token = ControlClient(server.deployment_file).inference_token()
    metadata = [("authorization", f"Bearer {token}")]
    sent = encode_request("moody", body_of(1))
    with grpc.insecure_channel(status["grpc"]) as channel:
        predict = channel.unary_unary(PREDICTIONS)
        for _ in range(ABORTED):
            predict.future(sent, metadata=metadata, timeout=30).cancel()
        assert b"predictions" in predict(sent, metadata=metadata, timeout=60)


def test_a_million_chunks(server: FaultyServer, others: CountedLoad) -> None:
    body = body_of(1)
    chunks = b"1\r\n \r\n" * (1_000_000 - len(body)) + b"".join(b"1\r\n%c\r\n" % each for each in body)
    with connect(server) as client:
        client.sendall(f"{HEAD}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
        client.sendall(chunks + b"0\r\n\r\n")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:500]
    assert b'"predictions"' in answer


def test_ten_thousand_fields(server: FaultyServer, others: CountedLoad) -> None:
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="f{number}"\r\n\r\n{number}\r\n'
        for number in range(10_000)
    )
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = server.client.post(PATH, content=f"{parts}--x--\r\n", headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"inputs": [' + b"1," * 2_000_000 + b"1]}", 422),
        (b'{"inputs": "' + b"a" * 10_000_000 + b'"}', 422),
        (b'{"' + b"a" * 10_000_000 + b'": 1}', 400),
        (b'{"inputs": ' + b"[" * 4_000_000 + b"]" * 4_000_000 + b"}", 400),
        (b"{" + b",".join(b'"k%d": 1' % number for number in range(300_000)) + b"}", 400),
        (b'{"inputs": 1' + b"0" * 10_000_000 + b"}", 400),
    ],
    ids=["numbers", "text", "name", "depth", "members", "digits"],
)
def test_huge_json(server: FaultyServer, others: CountedLoad, body: bytes, status: int) -> None:
    answer = server.client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 10_000


def test_smuggling_shapes_reach_the_worker_once_for_each_answer(server: FaultyServer) -> None:
    """What two servers might read differently, through both of them: as many requests as answers, at the worker too."""
    before = answered_by_workers(server)
    told: list[bytes] = []
    for shape in SHAPES.values():
        with connect(server) as client:
            sent = shape.replace("/predictions/digits", PATH).encode("latin-1") + LAST
            received = b""
            with contextlib.suppress(OSError):
                client.sendall(sent)
                while got := client.recv(65536):
                    received += got
            told += received.split(b"HTTP/1.1 ")[1:]
    # The front names the version in what it refuses by itself too, but only workers say anything of a row.
    of_workers = [
        each for each in told if b"x-model-version: 1.0" in each and not each.startswith(FRONT_S_OWN)
    ]
    assert of_workers
    server.wait_until(lambda: answered_by_workers(server) - before == len(of_workers))
    assert server.serving() == "1.0"


def answered_by_workers(server: FaultyServer) -> float:
    lines = server.reader.get("/metrics").text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("statehouse_requests_total{"))
