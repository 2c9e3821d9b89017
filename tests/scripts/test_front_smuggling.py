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

from scripts.local_http import unix_listener
from tests.scripts.test_front import DIGEST, RunningFront, wait_for

PATH = "/predictions/digits"
INNER = f"POST {PATH}?smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX-Smuggled: yes\r\n\r\n"
LAST = b"GET /the-last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"  # 404
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Received(NamedTuple):
    """One request as it came over the socket behind the front."""

    head: str
    body: bytes


class StrictServer:
    """In TorchServe's place: reads what comes exactly as it stands, and takes nothing that has two readings."""

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
    running.do(running.front.set_token("secret"))
    running.do(running.front.set_lanes("digits", "1.0", [("1.0-b8", None)], loading="1.0-b8", digest=DIGEST))
    running.do(running.front.set_default("digits", "1.0"))
    running.stop_upstream()
    server = StrictServer(running.runtime.inference_socket)
    wait_for(lambda: running.client.post(PATH).status_code == 200)
    yield running, server
    server.close()
    running.runtime.inference_socket.unlink()
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


def head(*headers: str, line: str = f"POST {PATH} HTTP/1.1") -> str:
    return "\r\n".join([line, "Host: x", *headers, "", ""])


CHUNKED = "Transfer-Encoding: chunked"
SHAPES = {
    "CL.TE": head("Content-Length: 6", CHUNKED) + "0\r\n\r\n" + INNER,
    "TE.CL": head(CHUNKED, "Content-Length: 4") + f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n",
    "CL.CL": head("Content-Length: 0", f"Content-Length: {len(INNER)}") + INNER,
    "CL, CL in one": head(f"Content-Length: 0, {len(INNER)}") + INNER,
    "CL twice the same": head("Content-Length: 2", "Content-Length: 2") + "{}",
    "CL +": head(f"Content-Length: +{len(INNER)}") + INNER,
    "CL -": head("Content-Length: -1") + INNER,
    "CL hex": head(f"Content-Length: 0x{len(INNER):x}") + INNER,
    "CL with a blank": head("Content-Length: 1 0") + "{}" + INNER,
    "CL empty": head("Content-Length:") + INNER,
    "CL huge": head("Content-Length: 18446744073709551616") + INNER,
    "CL before a tab": head("Content-Length\t: 2") + "{}" + INNER,
    "CL before a blank": head(f"Content-Length : {len(INNER)}") + INNER,
    "TE obfuscated": head("Content-Length: 6", "Transfer-Encoding: xchunked") + "0\r\n\r\n" + INNER,
    "TE, identity": head("Content-Length: 6", "Transfer-Encoding: chunked, identity") + "0\r\n\r\n" + INNER,
    "TE identity": head("Content-Length: 2", "Transfer-Encoding: identity") + "{}" + INNER,
    "TE twice": head(CHUNKED, "Transfer-Encoding: x") + "0\r\n\r\n" + INNER,
    "TE chunked twice": head("Transfer-Encoding: chunked, chunked") + "0\r\n\r\n" + INNER,
    "TE gzip": head("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n" + INNER,
    "TE before a blank": head("Content-Length: 6", "Transfer-Encoding : chunked") + "0\r\n\r\n" + INNER,
    "TE after a tab": head("Content-Length: 6", "Transfer-Encoding:\tchunked") + "0\r\n\r\n" + INNER,
    "TE with a vertical tab": head("Content-Length: 6", "Transfer-Encoding: \x0bchunked") + "0\r\n\r\n" + INNER,
    "TE folded": head("Content-Length: 6", "Transfer-Encoding:\r\n chunked") + "0\r\n\r\n" + INNER,
    "TE behind a bare LF": head("Content-Length: 6", f"X: y\n{CHUNKED}") + "0\r\n\r\n" + INNER,
    "TE behind a bare CR": head("Content-Length: 6", f"X: y\r{CHUNKED}") + "0\r\n\r\n" + INNER,
    "TE behind a NUL": head("Content-Length: 6", f"X: y\0{CHUNKED}") + "0\r\n\r\n" + INNER,
    "TE in HTTP/1.0": head(CHUNKED, line=f"POST {PATH} HTTP/1.0") + "0\r\n\r\n" + INNER,
    "underscores": head("Content-Length: 6", "Transfer_Encoding: chunked") + "0\r\n\r\n" + INNER,
    "bare LF alone": head("Content-Length: 2").replace("\r\n", "\n") + "{}" + INNER,
    "chunk size with a sign": head(CHUNKED) + "+2\r\n{}\r\n0\r\n\r\n" + INNER,
    "chunk size in 0x": head(CHUNKED) + "0x2\r\n{}\r\n0\r\n\r\n" + INNER,
    "chunk size that wraps": head(CHUNKED) + "10000000000000002\r\n{}\r\n0\r\n\r\n" + INNER,
    "chunk behind a bare LF": head(CHUNKED) + "2\n{}\n0\n\n" + INNER,
    "chunk longer than said": head(CHUNKED) + "2\r\n{}XX\r\n0\r\n\r\n" + INNER,
    "chunk extension with a LF": head(CHUNKED) + f"2;a\n{{}}\r\n0\r\n\r\n{INNER}",
    "trailer with a length": head(CHUNKED) + "2\r\n{}\r\n0\r\nContent-Length: 50\r\n\r\n" + INNER,
    "GET with a body": head(f"Content-Length: {len(INNER)}", line=f"GET {PATH} HTTP/1.1") + INNER,
    "a line in the path": head("Content-Length: 0", line=f"POST {PATH}%0d%0aX-Smuggled:yes HTTP/1.1"),
    "a CR in the path": head("Content-Length: 0", line=f"POST {PATH}\rX HTTP/1.1"),
    "no version": head("Content-Length: 0", line=f"POST {PATH}"),
    "HTTP/0.9": f"POST {PATH}\r\n",
    "HTTP/2.0 in a line": head("Content-Length: 0", line=f"POST {PATH} HTTP/2.0"),
    "a header without a name": head(": x", "Content-Length: 0"),
    "a header without a colon": head("Content-Length", "X: 0"),
    "a space before a header": head(" X: y", "Content-Length: 0"),
    "upgrade to h2c": head("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk",
                           "Content-Length: 0") + INNER,
    "Connection names the length": head("Connection: content-length", f"Content-Length: {len(INNER)}") + INNER,
    "Expect": head("Expect: 100-continue", "Content-Length: 2") + "{}",
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_passed_on_has_one_reading_and_one_answer(
    front: tuple[RunningFront, StrictServer], shape: str
) -> None:
    running, server = front
    before = len(server.received)
    statuses = answers(running, SHAPES[shape].encode("latin-1"))
    passed_on = server.received[before:]
    assert server.ambiguous == []
    # Each that is passed on is one that its client has an answer to; the others were refused.
    assert statuses.count(200) == len(passed_on)
    assert set(statuses) <= {200, 400, 404, 405, 411, 413, 422, 501, 505}
    for each in passed_on:
        assert each.head.startswith("POST /predictions/digits/1.0-b8 HTTP/1.")
    # Nothing of it is left on a connection that another client's request is sent on.
    assert running.client.post(PATH, content=b"[1]").status_code == 200
    assert server.received[-1].body == b"[1]"
    assert "smuggled" not in server.received[-1].head.lower()


def test_two_readings_are_never_both_taken(front: tuple[RunningFront, StrictServer]) -> None:
    """Where a length and a coding disagree, nothing behind them is taken for a request on the same connection."""
    running, server = front
    for shape in (
        "CL.CL",
        "CL, CL in one",
        "TE obfuscated",
        "TE before a blank",
        "TE behind a NUL",
        "CL -",
        "CL hex",
    ):
        before = len(server.received)
        assert answers(running, SHAPES[shape].encode("latin-1")) == [400], shape
        assert len(server.received) == before


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
    assert server.received[-1].head.startswith("POST /predictions/digits/1.0-b8 HTTP/1.1\r\n")
    elsewhere = head("Content-Length: 2", line=line.replace("http://x/", "http://169.254.169.254/"))
    assert answers(running, elsewhere.encode() + b"{}") == [400]
    assert answers(running, head(line="CONNECT 169.254.169.254:80 HTTP/1.1").encode())[0] in (400, 404, 405)
    assert answers(running, head(line="OPTIONS * HTTP/1.1").encode())[0] in (400, 404, 405)


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
