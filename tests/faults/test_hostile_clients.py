"""Hundreds of clients who hold on, hang up or never end, while others are served: counted, never timed."""

from __future__ import annotations

import contextlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.conftest import FaultyServer
from tests.faults.load import MOST_IN_FLIGHT, CountedLoad
from tests.support.hostile_clients import (
    HUGE_JSON,
    allow_many_connections,
    chunked_request_of,
    clients,
    connect,
    form_of,
    hang_up,
    head_of,
    read_all,
    request_of,
    send_and_read,
)
from tests.support.request_shapes import LAST, SHAPES

from statehouse.handlers.bodies.multipart import MAX_PARTS
from statehouse.scripts.control.client import ControlClient

PATH = "/predictions/moody"
SLOW_CLIENTS = 500
ABORTED = 1000
GROWTH_BYTES = 512 << 20  # of all processes together; what 500 clients could make them keep is much more
FRONT_S_OWN = (b"404", b"405", b"408", b"413", b"501", b"503")


@pytest.fixture(scope="module")
def server(served: FaultyServer) -> FaultyServer:
    """A server, and as many open files here as there are clients to be."""
    allow_many_connections()
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


def url_of(server: FaultyServer) -> str:
    return f"{server.announced['front']}{PATH}"


def body_of(rows: int) -> bytes:
    return json.dumps({"instances": [[0.0, 2.0, 3.0, 4.0]] * rows}).encode()


def test_clients_who_do_not_end_their_request_hold_up_nobody(
    server: FaultyServer, others: CountedLoad
) -> None:
    """Half of them stop within the headers, half within the body; all are told so, and none reaches a worker."""
    url = url_of(server)
    with (
        clients(url, SLOW_CLIENTS // 2, head_of(url)) as in_headers,
        clients(url, SLOW_CLIENTS // 2, request_of(url, body_of(1))[:-20]) as in_body,
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
    sent = request_of(url_of(server), body_of(500))
    with clients(url_of(server), SLOW_CLIENTS, sent, receive_bytes=2048) as slow:
        beyond = others.answered + 100
        server.wait_until(lambda: others.answered > beyond)
        first = slow[0].recv(12)
    assert first in (b"HTTP/1.1 200", b"HTTP/1.1 503")  # or the queue was full


def test_clients_who_hang_up_before_their_answer(server: FaultyServer, others: CountedLoad) -> None:
    for number in range(ABORTED):
        hang_up(url_of(server), body_of(1), number)


def test_clients_who_hang_up_over_grpc(server: FaultyServer, others: CountedLoad) -> None:
    import grpc

    from statehouse.scripts.load_test.grpc_messages import PREDICTIONS, encode_request

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
    answer = send_and_read(url_of(server), chunked_request_of(url_of(server), body_of(1), 1_000_000))
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:500]
    assert b'"predictions"' in answer


@pytest.mark.parametrize("fields", [10_000, MAX_PARTS])
def test_forms_of_many_fields(server: FaultyServer, others: CountedLoad, fields: int) -> None:
    content, content_type = form_of(fields)
    answer = server.client.post(PATH, content=content, headers={"content-type": content_type})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", HUGE_JSON)
def test_huge_json(server: FaultyServer, others: CountedLoad, kind: str) -> None:
    status = 422 if kind in ("numbers", "text") else 400
    answer = server.client.post(PATH, content=HUGE_JSON[kind], headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 10_000


def test_smuggling_shapes_reach_the_worker_once_for_each_answer(server: FaultyServer) -> None:
    """What two servers might read differently, through both of them: as many requests as answers, at the worker too."""
    before = answered_by_workers(server)
    told: list[bytes] = []
    for shape in SHAPES.values():
        with connect(url_of(server)) as client:
            sent = shape.sent.replace("/predictions/digits", PATH).encode("latin-1") + LAST
            received = b""
            with contextlib.suppress(OSError):
                client.sendall(sent)
                while got := client.recv(65536):
                    received += got
            told += received.split(b"HTTP/1.1 ")[1:]
    # The front names the version in what it refuses by itself too, but only workers say anything of a row.
    of_workers = [
        each
        for each in told
        if b"x-model-version: 1.0" in each and not each.startswith(FRONT_S_OWN) and b":bad-http" not in each
    ]
    assert of_workers
    server.wait_until(lambda: answered_by_workers(server) - before == len(of_workers))
    assert server.serving() == "1.0"


def answered_by_workers(server: FaultyServer) -> float:
    lines = server.reader.get("/metrics").text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("statehouse_requests_total{"))
