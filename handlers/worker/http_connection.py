"""HTTP/1.1 of one connection from the front: bytes to a request, and a response to bytes.

llhttp, Node's parser, reads strictly what came. What is bounded here: the head, the body, and how many requests there
are at a time, which is one.
"""

import socket
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NoReturn

import httptools

from statehouse.handlers.errors import BadHttpError, RequestError, TooLargeError
from statehouse.handlers.pipeline.answering import unexpected
from statehouse.handlers.request import (
    REQUEST_ID_HEADER,
    TIMING_HEADER,
    TRACEPARENT_HEADER,
    UNCOUNTED_HEADER,
    Form,
    Request,
    Response,
    bare_type,
)

ARRIVAL_HEADER = "x-statehouse-arrival"  # the front's: when the request came, in µs of the wall clock
MAX_HEAD_BYTES = 16 * 1024  # the front lets through 7,000 bytes of headers, and adds its own
MAX_BLOCKS = 256
MAX_TYPES = 64
_NOT_VALID = "The request is not valid HTTP/1.1"
_VALID = "Send a well-formed request line, headers and body."
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_FORMS: dict[bytes, Form] = {
    b"/predictions": "predictions",
    b"/v1": "v1",
    b"/v2": "v2",
    b"/openai": "openai",
}
_TYPE, _LENGTH, _ENCODING = b"content-type", b"content-length", b"content-encoding"
_INFERENCE_LENGTH = b"inference-header-content-length"
_ARRIVAL, _UNCOUNTED, _TIMING, _GIVEN_ID, _TRACEPARENT = (
    name.encode()
    for name in (ARRIVAL_HEADER, UNCOUNTED_HEADER, TIMING_HEADER, REQUEST_ID_HEADER, TRACEPARENT_HEADER)
)


class HttpConnection:
    """One connection. It holds one request at most; `request` is that, once it is whole."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_headers",
        "_max_body_bytes",
        "_parser",
        "_unsent",
        "_url",
        "arrived_us",
        "asked_to_continue",
        "began",
        "closes",
        "computes",
        "gone",
        "heard_bytes",
        "in_body",
        "refusal",
        "request",
        "reserved_bytes",
        "slow_at_bytes",
        "slow_at_seconds",
        "socket",
        "waits",
    )

    def __init__(self, connected: socket.socket, max_body_bytes: int) -> None:
        self.socket = connected
        self._max_body_bytes = max_body_bytes
        self._parser: Any = httptools.HttpRequestParser(self)
        self._unsent = memoryview(b"")
        self.gone = self.closes = self.computes = self.waits = False
        self._forget()

    def _forget(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self.request: Request | None = None
        self.refusal: RequestError | None = None
        self.arrived_us = 0
        self.began = self.in_body = self.asked_to_continue = False
        self.heard_bytes, self.slow_at_bytes, self.slow_at_seconds = 0, 0, 0.0
        self.reserved_bytes = 0

    # -- reading

    def take(self, data: memoryview) -> None:
        """Read what came. A request that is whole is then in `request`, what refuses it in `refusal`."""
        if self.request is not None or self.refusal is not None:
            self.closes = True  # the answer to the first is the last on this connection
            return
        self.heard_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if self.refusal is None:
                self.refuse(unexpected(error))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.refuse(self.refusal or BadHttpError(f"{_NOT_VALID}. {_VALID}"))
        if not self.in_body and self.heard_bytes > MAX_HEAD_BYTES:
            self.refuse(
                BadHttpError(
                    f"{_NOT_VALID}: its head has more than {MAX_HEAD_BYTES} bytes. Send fewer headers."
                )
            )

    def refuse(self, problem: RequestError) -> None:
        """Give up what has come: `problem` answers it, and closes, as what follows may belong to the same request."""
        self.request, self.refusal, self.closes = None, problem, True
        self._body = []

    def _stop(self, problem: RequestError) -> NoReturn:
        self.refuse(problem)
        raise problem  # which ends llhttp's reading

    @property
    def head_is_read(self) -> bool:
        """Whether a body is on its way."""
        return self.in_body and self.request is None and self.refusal is None

    @property
    def expected_bytes(self) -> int:
        """How long the body will be: as declared, or the most that is taken where it comes in chunks."""
        declared = self._headers.get(_LENGTH)
        return int(declared) if declared else self._max_body_bytes

    # What llhttp calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        if self.began:
            self.refuse(BadHttpError(f"{_NOT_VALID}: another one follows it before its answer. {_VALID}"))
        self.began = True

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, whole."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is read."""
        self.in_body = True
        headers = self._headers
        self.closes |= self._parser.get_http_version() != "1.1" or not self._parser.should_keep_alive()
        self.asked_to_continue = b"expect" in headers
        if _LENGTH in headers and int(headers[_LENGTH]) > self._max_body_bytes:
            self._stop(self._too_large())

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(data)
        if self._body_bytes > self._max_body_bytes:
            self._stop(self._too_large())
        self._body.append(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.refusal is not None:
            return
        form = _FORMS.get(self._url)
        if form is None or self._parser.get_method() not in (b"POST", b"PUT"):
            self.refuse(
                BadHttpError("A worker's door takes POST /predictions, /v1, /v2 and /openai from the front.")
            )
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self.request = self._read(form, body)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"The body has more bytes than the limit of {self._max_body_bytes}. Send fewer rows, or raise "
            "limits.max_request_bytes in deployment.yaml."
        )

    def _read(self, form: Form, body: bytes) -> Request:
        headers = self._headers
        arrived = headers.get(_ARRIVAL, b"")
        self.arrived_us = int(arrived) if arrived.isdigit() else 0
        whole = headers.get(_TYPE, b"")
        content_type = _bare(whole) if whole else ""
        several = content_type == "multipart/form-data"
        return Request(
            body,
            "" if several else content_type,
            form,
            _text(headers.get(_INFERENCE_LENGTH)),
            _text(headers.get(_ENCODING)),
            _UNCOUNTED not in headers,
            None,
            whole.decode("latin-1") if several else "",
            headers.get(_GIVEN_ID, b""),
            headers.get(_TRACEPARENT, b""),
            _TIMING in headers,
        )

    @property
    def identity(self) -> Request:
        """What a refusal repeats of the request: its id and form, as far as they are known."""
        headers = self._headers
        return Request(
            b"",
            form=_FORMS.get(self._url, "predictions"),
            given_id=headers.get(_GIVEN_ID, b""),
            traceparent=headers.get(_TRACEPARENT, b""),
        )

    # -- writing

    def answer(self, head: bytes, body: bytes) -> None:
        """Send a response as far as the socket takes it now; the rest is sent by `send_more`."""
        self._forget()
        self._send(memoryview(b"%b%d\r\n\r\n%b" % (head, len(body), body)))

    def say_continue(self) -> None:
        """Ask for the body that the other side holds back."""
        self.asked_to_continue = False
        self._send(memoryview(CONTINUE))

    @property
    def sends(self) -> bool:
        """Whether a part of a response is still to be sent."""
        return len(self._unsent) > 0

    def send_more(self) -> None:
        """Send what is left, as far as the socket takes it."""
        self._send(self._unsent)

    def _send(self, data: memoryview) -> None:
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.gone = True
            sent = len(data)
        self._unsent = data[sent:]


class ResponseHeads:
    """The bytes before a body, up to its length; made once for each kind of response and kept."""

    def __init__(self) -> None:
        self._heads: dict[tuple[Any, ...], bytes] = {}

    def of(self, response: Response, *, closes: bool) -> bytes:
        """The head of `response`, but for the number that `content-length` ends with."""
        key = (response.status, response.content_type, closes, *response.headers.items())
        return self._heads.get(key) or self._make(key, response, closes)

    def _make(self, key: tuple[Any, ...], response: Response, closes: bool) -> bytes:
        fields = {"content-type": response.content_type, **response.headers}
        if closes:
            fields["connection"] = "close"
        lines = [
            f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
            *(f"{name.lower()}: {value}" for name, value in fields.items()),
            "content-length: ",
        ]
        if len(self._heads) >= MAX_BLOCKS:
            self._heads.clear()
        head = self._heads[key] = "\r\n".join(lines).encode("latin-1", "replace")
        return head


@lru_cache(MAX_TYPES)
def _bare(content_type: bytes) -> str:
    return bare_type(content_type.decode("latin-1"))


def _text(value: bytes | None) -> str:
    return value.decode("latin-1") if value else ""
