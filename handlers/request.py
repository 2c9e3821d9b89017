"""Requests and responses, free of TorchServe; and the one place that reads its context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Protocol

Form = Literal["predictions", "v1", "v2", "openai"]
Body = bytes | bytearray
JSON_TYPE = "application/json"
UNCOUNTED_HEADER = "x-statehouse-uncounted"  # the front lets only the supervisor say it
# The front has checked them, so they may stand in JSON and logs as they are.
REQUEST_ID_HEADER, TRACEPARENT_HEADER = "x-request-id", "traceparent"
TIMING_HEADER = "x-statehouse-timing"  # who sends it is told where the time went
READ_HEADERS = frozenset(
    {
        "content-type",
        "url_path",
        "inference-header-content-length",
        "content-encoding",
        UNCOUNTED_HEADER,
        REQUEST_ID_HEADER,
        TRACEPARENT_HEADER,
        TIMING_HEADER,
    }
)
"""The headers that `read_request` looks at, in lower case."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body; `content_type` is empty where none was sent."""

    body: Body
    content_type: str = ""


@dataclass(slots=True)  # not frozen: that makes each creation three times as slow
class Request:
    """What one client asked. Either `body` or, for a body of several parts, `parts` is filled.

    `content_type` is bare and lower-case (`image/png`), and empty where none was sent.
    `inference_header_length` is the text of the Open Inference Protocol's header of that name.
    `multipart_type` is the whole content type of a multipart body that nobody has taken apart yet.
    `given_id` and `traceparent` are headers of those names, as bytes: they are looked at only when something is wrong.
    """

    body: Body
    content_type: str = ""
    form: Form = "predictions"
    inference_header_length: str = ""
    content_encoding: str = ""
    counted: bool = True  # the supervisor's own golden requests are not
    parts: Mapping[str, Part] | None = None
    multipart_type: str = ""
    given_id: bytes = b""
    traceparent: bytes = b""
    timed: bool = False

    @property
    def request_id(self) -> str:
        """The client's own id, else that of its trace; empty where the front did not see the request (gRPC)."""
        return (self.given_id or self.traceparent[3:35]).decode("ascii", "replace")


@dataclass(slots=True)
class Response:
    """What one client is told; `problem` is the kind of what was wrong, empty where nothing was."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)
    problem: str = ""


class TorchServeContext(Protocol):
    """The part of `ts.context.Context` that is used here."""

    @property
    def system_properties(self) -> Mapping[str, Any]:
        """`model_dir` and `gpu_id` (None on a CPU), among others."""

    def get_all_request_header(self, idx: int) -> Mapping[str, Any]:
        """Headers (text) and parameters' own headers (a dict each) of one request."""

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        """Status of one response."""

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Content type of one response."""

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """One header of one response; a value that is not text kills the worker."""


def read_requests(data: Sequence[Mapping[str, Any]], context: TorchServeContext) -> list[Request]:
    """The batch as TorchServe hands it over: per request the parameters by name, headers in the context."""
    return [
        read_request(parameters, context.get_all_request_header(index))
        for index, parameters in enumerate(data)
    ]


def write_responses(responses: Sequence[Response], context: TorchServeContext) -> list[bytes]:
    """Put statuses and headers into TorchServe's context; the bodies are the handler's result."""
    for index, response in enumerate(responses):
        context.set_response_status(response.status, HTTPStatus(response.status).phrase, index)
        context.set_response_content_type(index, response.content_type)
        for name, value in response.headers.items():
            context.set_response_header(index, name, value)
    return [response.body for response in responses]


def read_request(parameters: Mapping[str, Body], properties: Mapping[str, Any]) -> Request:
    """One request from its parameters by name, and its headers and parameters' own headers."""
    # Beside the headers (str) TorchServe lists each parameter's own content type, as a dict.
    headers = {name.lower(): value for name, value in properties.items() if isinstance(value, str)}
    declared = bare_type(headers.get("content-type", ""))
    parts = {
        name: Part(body, _part_type(properties.get(name)))
        for name, body in parameters.items()
        # Without a multipart body, what is not "body" came from the query string, or with gRPC from the map.
        if declared.startswith("multipart/") or "body" not in parameters or name == "body"
    }
    form = headers.get("url_path", "")
    several = parts if len(parts) > 1 else None
    only = next(iter(parts.values())) if len(parts) == 1 else Part(b"")
    return Request(
        body=only.body,
        content_type=only.content_type,
        form=form if form in ("v1", "v2") else "predictions",  # type: ignore[arg-type]
        inference_header_length=headers.get("inference-header-content-length", ""),
        content_encoding=headers.get("content-encoding", ""),
        counted=UNCOUNTED_HEADER not in headers,
        parts=several,
        given_id=headers.get(REQUEST_ID_HEADER, "").encode(),
        traceparent=headers.get(TRACEPARENT_HEADER, "").encode(),
        timed=TIMING_HEADER in headers,
    )


def bare_type(content_type: str) -> str:
    """`Image/PNG; q=1` → `image/png`."""
    return content_type.split(";", 1)[0].strip().lower()


def _part_type(properties: object) -> str:
    return bare_type(properties.get("content-type") or "") if isinstance(properties, dict) else ""
