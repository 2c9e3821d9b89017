"""A worker's door without a worker: answers with what it was sent. In this process, or in one that may be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BACKLOG = 4096


@dataclass(frozen=True)
class Asked:
    """One request as it came through the door."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    large: bool


@dataclass
class FakeDoor:
    """Two sockets and what to do with a body: `slow` is answered late, `held` when released, `refuse N` refused.

    `wait N` is answered after N milliseconds, whatever follows; `worker` sets the header that workers set.
    """

    name: str
    socket: Path
    large_socket: Path
    received: list[Asked] = field(default_factory=list)
    log: Path | None = None  # a line for each request that was read, before it is answered
    holds: bool = True  # whether what is `held` waits at all
    held: int = 0

    async def start(self) -> None:
        self.released = asyncio.Event()
        if not self.holds:
            self.released.set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._servers = [
            await asyncio.start_unix_server(
                lambda reader, writer, large=large: self._serve(reader, writer, large),
                path,
                backlog=BACKLOG,
                limit=2**20,
            )
            for path, large in ((self.socket, False), (self.large_socket, True))
        ]
        for path in (self.socket, self.large_socket):
            path.chmod(0o600)

    async def stop(self) -> None:
        """End as a worker that is killed does: what it had is lost."""
        for server in self._servers:
            server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        for path in (self.socket, self.large_socket):
            path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, large: bool) -> None:
        self._connections.add(writer)
        try:
            while asked := await self._read(reader, writer, large):
                self.received.append(asked)
                if self.log is not None:
                    with self.log.open("a") as log:
                        log.write(f"{asked.headers.get('x-request-id')}\n")
                writer.write(await self._answer(asked))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, large: bool
    ) -> Asked | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        line, *lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        method, path, _ = line.split(" ")
        if headers.get("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Asked(method, path, headers, await self._body(reader, headers), large)

    @staticmethod
    async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        while (await reader.readline()).strip():
            pass
        return body

    async def _answer(self, asked: Asked) -> bytes:
        words = asked.body[:100].decode("latin-1").split()
        told: dict[str, Any] = {
            "door": self.name,
            "method": asked.method,
            "path": asked.path,
            "headers": asked.headers,
            "received": len(asked.body),
            "large": asked.large,
        }
        status, headers = 200, {"x-model-version": "of-worker"} if "worker" in words else {}
        if words[:1] == ["refuse"]:
            status = int(words[1])
            headers |= {"x-statehouse-problem": "of-door", "content-type": "application/problem+json"}
            told = {"type": "urn:statehouse:problem:of-door", "status": status, "detail": self.name}
        elif words[:1] == ["wait"]:
            await asyncio.sleep(int(words[1]) / 1000)
        elif words[:1] == ["slow"]:
            await asyncio.sleep(5)
        elif words[:1] == ["held"]:
            self.held += 1
            await self.released.wait()
        body = json.dumps(told).encode()
        headers |= {"content-length": str(len(body))}
        lines = [f"HTTP/1.1 {status} .", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


class DoorProcess:
    """A fake door in a process of its own."""

    def __init__(self, door: FakeDoor) -> None:
        self.door = door
        paths = [str(each) for each in (door.socket, door.large_socket, door.log or "")]
        paths += ["holds"] * door.holds
        self._process = subprocess.Popen(
            [sys.executable, __file__, door.name, *paths], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listens\n"

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self._process.pid, number)
        if number == signal.SIGKILL:
            self._process.wait()

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def received(self) -> list[str]:
        """The ids of the requests it has read."""
        log = self.door.log
        return log.read_text().split() if log is not None and log.exists() else []


async def main(name: str, small: str, large: str, log: str, holds: str = "") -> None:
    door = FakeDoor(name, Path(small), Path(large), log=Path(log) if log else None, holds=bool(holds))
    await door.start()
    print("listens", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
