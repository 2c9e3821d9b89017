"""Clients who never end, never read, hang up, or send absurd bodies: for tests, and for `benchmarks.attacks`.

`url` is an endpoint: http://HOST:PORT/predictions/NAME.
"""

from __future__ import annotations

import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60
HUGE_JSON = {
    "numbers": b'{"inputs": [' + b"1," * 2_000_000 + b"1]}",
    "text": b'{"inputs": "' + b"a" * 10_000_000 + b'"}',
    "name": b'{"' + b"a" * 10_000_000 + b'": 1}',
    "depth": b'{"inputs": ' + b"[" * 4_000_000 + b"]" * 4_000_000 + b"}",
    "members": b"{" + b",".join(b'"k%d": 1' % number for number in range(300_000)) + b"}",
    "digits": b'{"inputs": 1' + b"0" * 10_000_000 + b"}",
}


def allow_many_connections() -> None:
    """Let this process have as many files open as there are clients to be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))


def connect(url: str) -> socket.socket:
    """Return a connection to the server of `url`."""
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=TIMEOUT_SECONDS)


def head_of(url: str, *headers: str, content_type: str = "application/json") -> bytes:
    """Return a request's beginning, up to where its headers may go on."""
    lines = [f"POST {urlsplit(url).path} HTTP/1.1", "Host: x", f"Content-Type: {content_type}", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode()


def request_of(url: str, body: bytes, *headers: str, content_type: str = "application/json") -> bytes:
    """Return a whole request."""
    head = head_of(url, f"Content-Length: {len(body)}", *headers, content_type=content_type)
    return head + b"\r\n" + body


def chunked_request_of(url: str, body: bytes, chunks: int) -> bytes:
    """Return a whole request in so many chunks, of one byte each: spaces, then the body."""
    spaces = b"1\r\n \r\n" * (chunks - len(body))
    head = head_of(url, "Transfer-Encoding: chunked", "Connection: close")
    return head + b"\r\n" + spaces + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


def form_of(fields: int) -> tuple[bytes, str]:
    """Return a multipart form with so many fields, and its content type."""
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="f{number}"\r\n\r\n{number}\r\n'
        for number in range(fields)
    )
    return f"{parts}--x--\r\n".encode(), "multipart/form-data; boundary=x"


@contextmanager
def clients(url: str, count: int, sent: bytes, receive_bytes: int = 0) -> Iterator[list[socket.socket]]:
    """So many clients who have sent this and nothing more; closed at the end."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(connect(url))
            if receive_bytes:
                opened[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            opened[-1].sendall(sent)
        yield opened
    finally:
        for client in opened:
            client.close()


def hang_up(url: str, body: bytes, number: int) -> None:
    """Leave before the answer: every second client resets, every third does so within its body."""
    sent = request_of(url, body)
    with closing(connect(url)) as client:
        client.sendall(sent[: len(sent) - 5 * (number % 3 == 0)])
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))


def send_and_read(url: str, sent: bytes) -> bytes:
    """Send a request, and return all that comes until the server closes or resets."""
    with closing(connect(url)) as client:
        client.sendall(sent)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """Return what comes until the server closes or resets."""
    received = b""
    try:
        while got := client.recv(65536):
            received += got
    except ConnectionError:
        pass  # what came before counts
    return received
