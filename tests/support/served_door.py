"""A door in a thread of this process, and clients of it."""

import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import httptools

from statehouse.handlers.request import Request, Response
from statehouse.handlers.worker.door import Door
from statehouse.handlers.worker.door_files import DoorFiles


def echo(requests: Sequence[Request], waits: Sequence[float]) -> list[Response]:
    """Each body again."""
    return [
        Response(200, bytes(request.body), "text/plain", {"X-Model-Version": "1"}) for request in requests
    ]


class Held:
    """Echoes, once `gate` is set; `begun` says that a batch waits for that."""

    def __init__(self) -> None:
        self.gate, self.begun = threading.Event(), threading.Event()

    def __call__(self, requests: Sequence[Request], waits: Sequence[float]) -> list[Response]:
        self.begun.set()
        assert self.gate.wait(30)
        return echo(requests, waits)


class ServedDoor:
    """A door that serves until it is left; `batches` are the sizes of the batches that it answered."""

    def __init__(self, folder: Path, answer=echo, **settings) -> None:
        self.batches: list[list[Request]] = []
        self.waits: list[float] = []
        self._inner = answer
        self.files = DoorFiles.of(str(folder / "d"), os.getpid())
        chosen = {"batch_size": 4, "max_body_bytes": 1 << 20, "deadline_seconds": 60, **settings}
        self.door = Door(self.files, self._answer, **chosen)
        self._commands, self._theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._clients: list[socket.socket] = []

    def _answer(self, requests, waits):
        self.batches.append(list(requests))
        self.waits += waits
        return self._inner(requests, waits)

    def _serve(self) -> None:
        self.door.serve_until_readable(self._theirs.fileno())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._commands.send(b"x")
        self._thread.join(30)
        for each in (*self._clients, self._commands, self._theirs):
            each.close()
        self.door.close()

    def client(self, *, large: bool = False) -> "Client":
        """A new connection."""
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(str(self.files.large_socket if large else self.files.socket))
        connected.settimeout(30)
        self._clients.append(connected)
        return Client(connected)


class Client:
    """One connection, and the answers that come by it."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._left = b""

    def send(self, data: bytes) -> None:
        """All of it."""
        self.socket.sendall(data)

    def ask(self, body: bytes = b"hello", **headers: str) -> "Answer":
        """The answer to one whole request."""
        self.send(post(body, **headers))
        return self.answer()

    def answer(self) -> "Answer":
        """The next answer; raises EOFError where there is none."""
        answer = Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.whole:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(f"the connection ended after {answer.heads} heads")
            parser.feed_data(data)
        return answer

    def closed(self) -> bool:
        """Whether the other side has closed, with nothing before that."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class Answer:
    """One response."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body, self.whole, self.heads, self.status_line = b"", False, 0, ""

    def on_status(self, text: bytes) -> None:
        self.status_line = text.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode()] = value.decode()

    def on_headers_complete(self) -> None:
        self.heads += 1

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.whole = True


def post(body: bytes = b"hello", target: str = "/predictions", method: str = "POST", **headers: str) -> bytes:
    """One request, as the front sends it."""
    named = {"host": "x", "content-type": "text/plain", "content-length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode() + body
