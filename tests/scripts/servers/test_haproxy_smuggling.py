"""Requests whose end could be read in two ways: what the front passes on is one request for each answer, or none."""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.scripts.servers.test_haproxy import RunningFront
from tests.support.request_shapes import LAST, PATH, SHAPES, head

from statehouse.scripts.servers.local_http import unix_listener

ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Received(NamedTuple):
    """One request as it came over the socket behind the front."""

    head: str
    body: bytes


class StrictServer:
    """In a worker's place: reads what comes exactly as it stands, and takes nothing that has two readings."""

    def __init__(self, path: Path) -> None:
        self.received: list[Received] = []
        self.ambiguous: list[str] = []
        self._listener = unix_listener(path)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                head = line
                while line not in (b"\r\n", b""):
                    head += (line := stream.readline())
                self._judge(head)
                self.received.append(Received(head.decode("latin-1"), self._body(head, stream)))
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-model-version: 1.0\r\n\r\n{}")

    def _judge(self, head: bytes) -> None:
        lengths = re.findall(rb"(?im)^content-length:(.*)$", head)
        codings = re.findall(rb"(?im)^transfer-encoding:(.*)$", head)
        plain = all(re.fullmatch(rb" \d+\r", each) for each in lengths)
        plain = plain and all(each == b" chunked\r" for each in codings)
        if len(lengths) + len(codings) > 1 or not plain or re.search(rb"[^\r]\n|\r[^\n]|\0", head):
            self.ambiguous.append(head.decode("latin-1"))

    def _body(self, head: bytes, stream: object) -> bytes:
        if b"\r\ntransfer-encoding: chunked" in head.lower():
            body = b""
            while size := int(stream.readline().split(b";")[0], 16):
                body += stream.read(size)
                stream.readline()
            while stream.readline() != b"\r\n":
                pass
            return body
        found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        return stream.read(int(found[1])) if found else b""

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[RunningFront, StrictServer]]:
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    running = RunningFront(folder, request_timeout_seconds=20)
    described = running.describe_door()
    server = StrictServer(described.socket)
    slot = running.slots["digits", "1.0"] = running.front.take_slot()
    running.do(running.front.add_door(slot, described))
    running.route("digits", "1.0")
    running.do(running.front.set_default("digits", "1.0"))
    assert running.client.post(PATH).status_code == 200
    yield running, server
    server.close()
    running.stop()
    shutil.rmtree(folder)


def answers(running: RunningFront, sent: bytes) -> list[int]:
    """Send bytes as they are, then one request that ends the connection; return the status of each answer.

    Where the front waits for more than there is, it gets no more.
    """
    received = b""
    with socket.create_connection(running.listener.getsockname(), timeout=2) as connection:
        try:
            connection.sendall(sent + LAST)
            while got := receive(connection):
                received += got
        except ConnectionError:
            pass
    return [int(status) for status in ANSWER.findall(received) if status != b"100"]


def receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except TimeoutError:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(60)
        return connection.recv(65536)


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_passed_on_has_one_reading_and_one_answer(
    front: tuple[RunningFront, StrictServer], name: str
) -> None:
    running, server = front
    shape, before = SHAPES[name], len(server.received)
    statuses = answers(running, shape.sent.encode("latin-1"))
    passed_on = server.received[before:]
    assert statuses == shape.statuses, f"RFC 9112, {shape.section}"
    assert [each.body.decode("latin-1") for each in passed_on] == list(shape.bodies)
    assert server.ambiguous == []
    for each in passed_on:
        assert each.head.startswith("POST /predictions HTTP/1.1\r\n")
    # Nothing of it is left on a connection that another client's request is sent on.
    assert running.client.post(PATH, content=b"[1]").status_code == 200
    assert server.received[-1].body == b"[1]"
    assert "smuggled" not in server.received[-1].head.lower()


def test_pipelined_requests_are_answered_in_order(front: tuple[RunningFront, StrictServer]) -> None:
    running, _ = front
    paths = [
        "/predictions/digits",
        "/nowhere",
        "/predictions/digits/1.0",
        "/predictions/nosuch",
        "/predictions/digits",
    ]
    sent = "".join(head("Content-Length: 2", line=f"POST {path} HTTP/1.1") + "{}" for path in paths)
    assert answers(running, sent.encode()) == [200, 404, 200, 404, 200, 404]


def test_an_absolute_form_is_taken_for_its_path(front: tuple[RunningFront, StrictServer]) -> None:
    running, server = front
    line = "POST http://x/predictions/digits HTTP/1.1"
    assert answers(running, head("Content-Length: 2", line=line).encode() + b"{}") == [200, 404]
    assert server.received[-1].head.startswith("POST /predictions HTTP/1.1\r\n")
    elsewhere = head("Content-Length: 2", line=line.replace("http://x/", "http://169.254.169.254/"))
    assert answers(running, elsewhere.encode() + b"{}") == [400]
    assert answers(running, head(line="CONNECT 169.254.169.254:80 HTTP/1.1").encode()) == [400]
    assert answers(running, head(line="OPTIONS * HTTP/1.1").encode()) == [404, 404]


def test_http_2_is_not_spoken_in_the_clear(front: tuple[RunningFront, StrictServer]) -> None:
    running, _ = front
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    received = b""
    with socket.create_connection(running.listener.getsockname(), timeout=60) as connection:
        connection.sendall(preface)
        connection.shutdown(socket.SHUT_WR)
        while got := connection.recv(65536):
            received += got
    assert received.startswith(b"HTTP/1.1 400 ")
