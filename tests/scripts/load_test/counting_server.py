"""An HTTP/1.1 server in the test's own event loop that counts what reaches it and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tests.scripts.load_test.still_loop import StillLoop

from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, OpenLoop
from statehouse.scripts.load_test.precise_loop import precise_loop


@dataclass
class Exchange:
    """One request that arrived (the ``index``-th of all), and the connection to answer it on."""

    index: int
    connection_index: int
    body: bytes
    writer: asyncio.StreamWriter

    def answer(self, status: int = 200, version: str | None = "1.0", *headers: str) -> None:
        self.writer.write(answer_bytes(status, version, *headers))

    def reset(self) -> None:
        self.writer.transport.abort()


Behaviour = Callable[[Exchange], Awaitable[None]]


def answer_bytes(status: int = 200, version: str | None = "1.0", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", "Content-Length: 2", *headers]
    if version is not None:
        lines.append(f"X-Model-Version: {version}")
    return "\r\n".join([*lines, "", "{}"]).encode()


async def always_well(exchange: Exchange) -> None:
    exchange.answer()


@dataclass
class CountingServer:
    """``arrived`` are the bodies of all requests; ``most_in_flight`` how many were unanswered at once."""

    behave: Behaviour = always_well
    arrived: list[bytes] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.sleep(0)  # closed connections are let go of in the loop's next turn

    def plan(self, arrivals: OpenLoop | ClosedLoop, **fields: Any) -> LoadPlan:
        url = f"http://127.0.0.1:{self.port}/predictions/digits"
        plan = LoadPlan.for_url(url, [Body(b"[1]", "application/json")], arrivals)
        return replace(plan, **fields)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection_index = self.connections
        self.connections += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                assert head.startswith("POST /predictions/digits HTTP/1.1\r\n")
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                self.arrived.append(await reader.readexactly(length))
                exchange = Exchange(len(self.arrived) - 1, connection_index, self.arrived[-1], writer)
                await self._behave_counted(exchange)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _behave_counted(self, exchange: Exchange) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await self.behave(exchange)
        self.in_flight -= 1


def run_async(coroutine: Coroutine[Any, Any, None]) -> None:
    """In real time: where processes or threads take part."""
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(coroutine)


def run_still(coroutine: Coroutine[Any, Any, None]) -> None:
    """In a time that stands while anything is to be done: a second is one however busy the machine is."""
    with asyncio.Runner(loop_factory=StillLoop) as runner:
        runner.run(coroutine)
