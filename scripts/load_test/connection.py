"""One connection: a request out, its answer in, and what became of it; kept alive, over HTTP/1.1.

Not httpx: pre-encoded bytes and a reader that only counts cost a tenth.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from statehouse.scripts.load_test.answer import Answer, AnswerReader
from statehouse.scripts.load_test.errors import AnswerSyntaxError, ErrorKind

READ_BYTES = 65536


class ConnectionOwner(Protocol):
    """Who is told what happens on a connection."""

    def opened(self, connection: Connection) -> None:
        """It can carry its first request."""

    def answered(self, connection: Connection, answer: Answer) -> None:
        """The request in flight has its answer."""

    def failed(self, connection: Connection, kind: str) -> None:
        """The request in flight will have no answer."""

    def free(self, connection: Connection) -> None:
        """It can carry its next request."""

    def lost(self, connection: Connection) -> None:
        """It is gone, whoever closed it."""


class Connection(Protocol):
    """Carries one request at a time.

    ``intended`` and ``sent`` are when the request in flight was due and was written, ``begun`` when the connection
    was asked for, in the loop's time.
    """

    begun: float
    in_flight: bool
    intended: float
    sent: float

    @property
    def is_closing(self) -> bool:
        """Whether it can carry nothing more."""

    def send(self, request: bytes, intended: float, now: float) -> None:
        """Write a request."""

    def give_up(self, kind: ErrorKind) -> None:
        """End it without an answer to the request in flight."""

    def close(self) -> None:
        """End it, as nothing is in flight."""


class HttpConnection(asyncio.BufferedProtocol):
    """See Connection."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        # A buffer of our own: asyncio's plain protocols allocate 256 KiB for each read.
        self._buffer = bytearray(READ_BYTES)
        self._view = memoryview(self._buffer)
        self._reader = AnswerReader()
        self._transport: asyncio.Transport  # from the moment that the owner knows of it
        self.begun = 0.0
        self.in_flight = False
        self.intended = 0.0
        self.sent = 0.0

    @property
    def is_closing(self) -> bool:
        """See Connection."""
        return self._transport.is_closing()

    def send(self, request: bytes, intended: float, now: float) -> None:
        """See Connection."""
        self.in_flight = True
        self.intended = intended
        self.sent = now
        self._transport.write(request)

    def give_up(self, kind: ErrorKind) -> None:
        """See Connection."""
        self.in_flight = False
        self._owner.failed(self, kind)
        self.abort()

    def abort(self) -> None:
        """End it immediately."""
        self._transport.abort()

    def close(self) -> None:
        """See Connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self._owner.opened(self)

    def get_buffer(self, sizehint: int) -> bytearray:
        """See asyncio."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        if not self.in_flight:
            self.abort()  # nothing was asked
            return
        try:
            answer = self._reader.feed(bytes(self._view[:nbytes]))
        except AnswerSyntaxError:
            self.give_up(ErrorKind.NOT_HTTP)
            return
        if answer is not None:
            self._finish(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if self.in_flight:
            self.in_flight = False
            answer = self._reader.close() if exc is None else None
            if answer is not None:
                self._owner.answered(self, answer)
            else:
                self._owner.failed(self, self._kind_of(exc))
        self._owner.lost(self)

    def _finish(self, answer: Answer) -> None:
        self.in_flight = False
        self._owner.answered(self, answer)
        if self._transport.get_write_buffer_size():
            self.abort()  # answered before all of it was written: the rest would be read as the next request
        elif answer.reusable:
            self._owner.free(self)
        else:
            self._transport.close()

    def _kind_of(self, error: Exception | None) -> ErrorKind:
        if error is not None:
            return ErrorKind.CONNECTION_RESET
        return ErrorKind.CLOSED_INSIDE_ANSWER if self._reader.has_begun else ErrorKind.CLOSED_BEFORE_ANSWER
