"""TorchServe's messages between the server and a worker: a batch in through one buffer, its answers out as one piece.

A message is a byte that says what it is, then texts and numbers; a text is its length (four bytes, big-endian)
and UTF-8, a list ends with -1. A batch is a list of requests: identifier, list of headers (name, value), list
of parameters (name, content type, body).
"""

import logging
import struct
import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

from statehouse.handlers.request import (
    READ_HEADERS,
    REQUEST_ID_HEADER,
    TRACEPARENT_HEADER,
    Request,
    Response,
    read_request,
)

logger = logging.getLogger(__name__)

BUFFER_BYTES = 2**20
KEPT_BYTES = 16 * 2**20  # a buffer that one large batch made larger than this is given back
END_OF_LIST = -1
MAX_KNOWN = 4
MAX_BLOCKS = 256

_INT = struct.Struct("!i")
_read_int, _int_bytes = _INT.unpack_from, _INT.pack
_READ_HEADERS = {name.encode() for name in READ_HEADERS}
_LENGTH, _GIVEN_ID, _TRACEPARENT = b"content-length", REQUEST_ID_HEADER.encode(), TRACEPARENT_HEADER.encode()
_OWN_TO_EACH = (_LENGTH, _GIVEN_ID, _TRACEPARENT)


class Connection(Protocol):
    """The part of a socket that is used here."""

    def recv(self, count: int, /) -> bytes:
        """At most `count` bytes; none when the other side has gone."""

    def recv_into(self, buffer: memoryview, /) -> int:
        """As many bytes as are there and fit."""

    def fileno(self) -> int:
        """Its descriptor."""


class Batch(NamedTuple):
    """One batch; `identifiers` are TorchServe's, each with its length before it."""

    identifiers: list[bytes]
    requests: list[Request]

    def identifier_texts(self) -> list[str]:
        """The identifiers themselves."""
        return [identifier[_INT.size :].decode() for identifier in self.identifiers]


class _Known(NamedTuple):
    """The bytes between a request's identifier and its body's length, and what they were read as.

    A client's requests mostly differ there in the values of a few headers alone (`own`, in their order), which lie
    between the pieces.
    """

    pieces: tuple[bytes, ...]
    own: tuple[bytes, ...]
    request: Request


class Inbox:
    """What TorchServe sends over one connection, read in pieces as large as they come."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._at = self._end = 0
        self._known: list[_Known] = []

    @property
    def is_empty(self) -> bool:
        """Whether all that was read is used up."""
        return self._at == self._end

    def recv(self, count: int) -> bytes:
        """At most `count` bytes, as a socket gives them; for TorchServe's own functions."""
        if self._at == self._end:
            return self.connection.recv(count)
        begin, self._at = self._at, min(self._at + count, self._end)
        return bytes(self._view[begin : self._at])

    def next_command(self) -> bytes:
        """The first byte of the next message, which stays unread; ends the process when there is none."""
        self._rewind()
        self._need(1)
        return bytes(self._view[:1])

    def read_batch(self) -> Batch:
        """The batch whose command is the next byte."""
        position = self._at + 1
        batch = Batch([], [])
        while True:
            length = self._int(position)
            if length == END_OF_LIST:
                self._at = position + 4
                return batch
            begin, position = position, position + 4 + length
            if position > self._end:
                self._need(position)
            batch.identifiers.append(bytes(self._view[begin:position]))
            request, position = self._known_request(position) or self._new_request(position)
            batch.requests.append(request)

    def _known_request(self, position: int) -> tuple[Request, int] | None:
        """The request at `position` if all before its body has been seen before."""
        for pieces, own, known in self._known:
            body_begin, values = self._body_begin(position, pieces)
            if not body_begin:
                continue
            body_end = body_begin + _read_int(self._buffer, body_begin - 4)[0]
            if body_end + 4 > self._end:
                self._need(body_end + 4)
            if _read_int(self._buffer, body_end)[0] != END_OF_LIST:  # another parameter follows
                continue
            ids = dict(zip(own, values, strict=True))
            request = Request(
                bytes(self._view[body_begin:body_end]),
                known.content_type,
                known.form,
                known.inference_header_length,
                known.content_encoding,
                known.counted,
                None,
                known.multipart_type,
                ids.get(_GIVEN_ID, b""),
                ids.get(_TRACEPARENT, b""),
                known.timed,
            )
            return request, body_end + 4
        return None

    def _body_begin(self, place: int, pieces: Sequence[bytes]) -> tuple[int, list[bytes]]:
        """Where the body begins if `pieces` are what is at `place`, else 0; and the values between them."""
        buffer, end = self._buffer, self._end
        values: list[bytes] = []
        for piece in pieces:
            if not buffer.startswith(piece, place):
                break
            place += len(piece) + 4
            if place > end:
                break
            if len(values) == len(pieces) - 1:
                return place, values
            begin, place = place, place + _read_int(buffer, place - 4)[0]
            values.append(bytes(self._view[begin:place]))
        return 0, values

    def _new_request(self, begin: int) -> tuple[Request, int]:
        position = begin
        headers: dict[bytes, bytes] = {}
        own: list[tuple[bytes, int, int]] = []
        while self._int(position) != END_OF_LIST:
            name, value_at = self._text(position)
            headers[name], position = self._text(value_at)
            if name.lower() in _OWN_TO_EACH:
                own.append((name.lower(), value_at, position))
        position += 4
        bodies: dict[str, bytes] = {}
        kinds: dict[str, Any] = {}
        body_at = position
        while self._int(position) != END_OF_LIST:
            raw_name, position = self._text(position)
            kind, body_at = self._text(position)
            name_text = raw_name.decode()
            bodies[name_text], position = self._text(body_at)
            kinds[name_text] = {"content-type": kind.decode()}
        read = {
            name.decode(): value.decode()
            for name, value in headers.items()
            if name.lower() in _READ_HEADERS or name.decode() in bodies
        }
        request = read_request(bodies, {**kinds, **read})
        if list(bodies) == ["body"]:
            self._remember(begin, body_at, own, request)
        return request, position + 4

    def _remember(
        self, begin: int, end: int, own: Sequence[tuple[bytes, int, int]], request: Request
    ) -> None:
        pieces = []
        for _, value_at, value_end in own:
            pieces.append(bytes(self._view[begin:value_at]))
            begin = value_end
        known = _Known((*pieces, bytes(self._view[begin:end])), tuple(name for name, *_ in own), request)
        self._known = [known, *self._known[: MAX_KNOWN - 1]]

    def _int(self, position: int) -> int:
        if position + 4 > self._end:
            self._need(position + 4)
        number: int = _read_int(self._buffer, position)[0]
        return number

    def _text(self, position: int) -> tuple[bytes, int]:
        """The text whose length is at `position`, and where it ends."""
        begin = position + 4
        end = begin + self._int(position)
        self._need(end)
        return bytes(self._view[begin:end]), end

    def _need(self, end: int) -> None:
        """Read until there is everything before `end`; never waits for more than that."""
        if end > len(self._buffer):
            self._resize(max(end, 2 * len(self._buffer)))
        while self._end < end:
            count = self.connection.recv_into(self._view[self._end :])
            if not count:
                logger.info("Frontend disconnected.")
                sys.exit(0)
            self._end += count

    def _rewind(self) -> None:
        """Begin at the buffer's begin again."""
        if self._at == self._end and len(self._buffer) <= KEPT_BYTES:
            self._at = self._end = 0
            return
        left = bytes(self._view[self._at : self._end])
        if len(self._buffer) > KEPT_BYTES >= len(left):
            self._end = 0
            self._resize(BUFFER_BYTES if len(left) <= BUFFER_BYTES else KEPT_BYTES)
        self._buffer[: len(left)] = left
        self._at, self._end = 0, len(left)

    def _resize(self, size: int) -> None:
        buffer = bytearray(size)
        buffer[: self._end] = self._view[: self._end]
        self._buffer, self._view = buffer, memoryview(buffer)


class Outbox:
    """Encodes responses; what stands around a body is made once and kept."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[Any, ...], bytes] = {}

    def encode(self, identifiers: Sequence[bytes], responses: Sequence[Response]) -> bytes:
        """The message that answers a batch."""
        pieces = [_SUCCESS]
        for identifier, response in zip(identifiers, responses, strict=True):
            key = (response.status, response.content_type, *response.headers.items())
            block = self._blocks.get(key) or self._block(key, response)
            pieces += (identifier, block, _int_bytes(len(response.body)), response.body)
        pieces.append(_int_bytes(END_OF_LIST))
        return b"".join(pieces)

    def _block(self, key: tuple[Any, ...], response: Response) -> bytes:
        headers = {"content-type": response.content_type, **response.headers}
        fields = [
            _text_bytes(response.content_type),
            _int_bytes(response.status),
            _text_bytes(HTTPStatus(response.status).phrase),
            _int_bytes(len(headers)),
            *(_text_bytes(name) + _text_bytes(value) for name, value in headers.items()),
        ]
        if len(self._blocks) >= MAX_BLOCKS:
            self._blocks.clear()
        block = self._blocks[key] = b"".join(fields)
        return block


def _text_bytes(text: str) -> bytes:
    data = text.encode()
    return _int_bytes(len(data)) + data


_SUCCESS = _int_bytes(200) + _text_bytes("Prediction success")
