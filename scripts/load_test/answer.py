"""One HTTP/1.1 answer after another, read from bytes however they are split; no sockets here."""

from __future__ import annotations

from typing import NamedTuple

from statehouse.scripts.load_test.errors import AnswerSyntaxError

MAX_HEAD_BYTES = 65536
_HEADS_REMEMBERED = 256


class Answer(NamedTuple):
    """What is counted of an answer. ``reusable``: whether its connection may carry another request."""

    status: int
    version: str | None
    reusable: bool


class _Head(NamedTuple):
    answer: Answer
    chunked: bool
    length_bytes: int | None  # None: until the connection is closed


_remembered: dict[bytes, _Head] = {}


class AnswerReader:
    """Tells when the answer to the one request in flight is complete."""

    def __init__(self) -> None:
        self._unread = b""
        self._head: _Head | None = None
        self._missing_bytes = 0
        self._chunks: _ChunkedBody | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a part of an answer has come."""
        return bool(self._unread) or self._head is not None

    def feed(self, data: bytes) -> Answer | None:
        """Take what came; return the answer once it is complete, and be ready for the next one.

        Raises AnswerSyntaxError for what is no answer, or goes on after its end.
        """
        if self._head is not None:
            return self._read_body(self._head, data)
        found = self._read_head(self._unread + data if self._unread else data)
        return None if found is None else self._read_body(*found)

    def close(self) -> Answer | None:
        """Say that nothing more will come; return the answer when that is what ends it."""
        head = self._head
        if head is None or head.chunked or head.length_bytes is not None:
            return None
        return self._completed(head)

    def _read_body(self, head: _Head, data: bytes) -> Answer | None:
        if self._chunks is not None:
            return self._completed(head) if self._chunks.feed(data) else None
        if head.length_bytes is None:
            return None
        self._missing_bytes -= len(data)
        if self._missing_bytes > 0:
            return None
        if self._missing_bytes < 0:
            raise AnswerSyntaxError(f"The answer goes on after its {head.length_bytes} bytes.")
        return self._completed(head)

    def _completed(self, head: _Head) -> Answer:
        self._head = self._chunks = None
        return head.answer

    def _read_head(self, data: bytes) -> tuple[_Head, bytes] | None:
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MAX_HEAD_BYTES:
                    raise AnswerSyntaxError(f"The answer's headers have more than {MAX_HEAD_BYTES} bytes.")
                self._unread = data
                return None
            head = _parse_head(data[: end + 2])
            data = data[end + 4 :]
            if head.answer.status >= 200:  # below are interim answers, such as 100 Continue
                break
        self._unread = b""
        self._head = head
        self._missing_bytes = head.length_bytes or 0
        self._chunks = _ChunkedBody() if head.chunked else None
        return head, data


class _ChunkedBody:
    def __init__(self) -> None:
        self._unread = b""
        self._skipped_bytes = 0
        self._in_trailer = False

    def feed(self, data: bytes) -> bool:
        """Return whether the body is complete."""
        data = self._unread + data
        self._unread = b""
        while True:
            if self._skipped_bytes > len(data):
                self._skipped_bytes -= len(data)
                return False
            data = data[self._skipped_bytes :]
            self._skipped_bytes = 0
            end = data.find(b"\r\n")
            if end < 0:
                if len(data) > MAX_HEAD_BYTES:
                    raise AnswerSyntaxError("The answer has a chunk without a size.")
                self._unread = data
                return False
            line, data = data[:end], data[end + 2 :]
            if self._ends_with(line):
                if data:
                    raise AnswerSyntaxError("The answer goes on after its last chunk.")
                return True

    def _ends_with(self, line: bytes) -> bool:
        if self._in_trailer:
            return not line
        try:
            size_bytes = int(line.partition(b";")[0], 16)
        except ValueError:
            size_bytes = -1
        if size_bytes < 0:
            raise AnswerSyntaxError(f"The answer has a chunk whose size is {line[:40]!r}.")
        self._in_trailer = size_bytes == 0
        self._skipped_bytes = size_bytes + 2 if size_bytes else 0
        return False


def _parse_head(head: bytes) -> _Head:
    known = _remembered.get(head)  # a server says nearly the same each time
    if known is None:
        known = _parse_new_head(head)
        if len(_remembered) >= _HEADS_REMEMBERED:
            _remembered.clear()
        _remembered[head] = known
    return known


def _parse_new_head(head: bytes) -> _Head:
    status_text = head[9:12]
    if not head.startswith(b"HTTP/1.") or not status_text.isdigit() or not 100 <= int(status_text) <= 599:
        raise AnswerSyntaxError(f"{head[:40]!r} is no HTTP/1.1 status line.")
    status = int(status_text)
    lowered = head.lower()
    connection = (_header(head, lowered, b"connection") or b"").lower()
    version = _header(head, lowered, b"x-model-version")
    chunked = b"chunked" in (_header(head, lowered, b"transfer-encoding") or b"").lower()
    length = _length(_header(head, lowered, b"content-length"))
    if status < 200 or status in (204, 304):
        chunked, length = False, 0
    kept = b"close" not in connection if head[7:8] == b"1" else b"keep-alive" in connection
    reusable = kept and (chunked or length is not None)
    return _Head(Answer(status, version.decode("latin-1") if version else None, reusable), chunked, length)


def _header(head: bytes, lowered: bytes, name: bytes) -> bytes | None:
    at = lowered.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    return head[at + len(name) + 3 : head.index(b"\r\n", at + 2)].strip()


def _length(given: bytes | None) -> int | None:
    if given is None:
        return None
    if not given.isdigit():
        raise AnswerSyntaxError(f"The answer's content-length is {given[:40]!r}; expected a number.")
    return int(given)
