"""Bodies to rows, and answers to bodies: which request form it is, and what each form promises.

| form | body | answer |
|---|---|---|
| predictions | `{"inputs": row}`, a raw body, one part of multipart | the row's answer |
| predictions | `{"instances": [row, …]}`; of texts also `{"inputs": [text, …]}` | `{"predictions": [answer, …]}` |
| v1 | `{"instances": [row, …]}` | `{"predictions": [answer, …]}` |
| v2 | Open Inference Protocol | Open Inference Protocol |
| openai | `{"model", "input": text or texts}`, of embeddings | OpenAI's |
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from statehouse.handlers.bodies.content import (
    IMAGE_TYPES,
    OTHER_NAMES,
    RAW_TYPE,
    TEXT_TYPE,
    guess_content_type,
    image_type,
)
from statehouse.handlers.bodies.inference_tensors import InputTensor
from statehouse.handlers.bodies.json_body import parse_json
from statehouse.handlers.bodies.multipart import read_parts
from statehouse.handlers.bodies.numbers import shorten, type_name
from statehouse.handlers.bodies.open_inference import InferenceRequest, read_inference_request
from statehouse.handlers.bodies.openai_embeddings import EmbeddingsRequest
from statehouse.handlers.errors import (
    EmptyBodyError,
    InvalidInputError,
    MalformedRequestError,
    RequestError,
    RowsRefusedError,
    TooLargeError,
    UnsupportedMediaError,
)
from statehouse.handlers.request import JSON_TYPE, Body, Part, Request, Response

Rows = NDArray[Any]
"""The rows of one request, or of several: the first axis counts them."""


class RowReader(Protocol):
    """What a task knows about its rows; every method raises RequestError on what it cannot take."""

    raw_row_bytes: int | None
    """Length of one row sent as raw numbers; None where the task reads none."""
    reads_text: ClassVar[bool]
    """Whether a row is a text: then a body may be the text itself."""
    parts_by_name: ClassVar[bool]
    """Whether the parts of a form are inputs by their names, one of them alone too."""
    media_types: tuple[str, ...]
    """Of bodies that are read beside those that every task reads."""

    @property
    def row_limit(self) -> int:
        """Most rows in one request."""

    def is_several(self, value: object) -> bool:
        """Whether what stands under `inputs` is several rows, and not one."""

    def row_from_value(self, value: object) -> Rows:
        """One row from its JSON value, without the axis that counts rows."""

    def rows_from_values(self, values: Sequence[object]) -> Rows:
        """Several rows from their JSON values; raises RowsRefusedError with every bad row's number."""

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One row from a raw body that is not JSON."""

    def row_from_parts(self, parts: Mapping[str, Part]) -> Rows:
        """One row from several parts of a multipart body."""

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The rows of an Open Inference Protocol request."""

    def embedded_rows(self, request: Request) -> "Decoded":
        """The rows of a request in OpenAI's form, where the task gives embeddings of texts."""


class Decoded(NamedTuple):
    """A request's rows, and how it wants to be answered."""

    rows: Rows
    answer: Literal["one", "many"] | InferenceRequest | EmbeddingsRequest


def decode(request: Request, reader: RowReader) -> Decoded:
    """The rows of `request`; raises the RequestError that its client is told."""
    request = _readable(request, reader)
    if request.form == "v2":
        return _decode_tensors(request, reader)
    if request.form == "openai":
        return reader.embedded_rows(request)
    if request.parts is not None:
        return Decoded(reader.row_from_parts(request.parts)[np.newaxis], "one")
    if not request.body:
        raise EmptyBodyError(
            "The body is empty; send JSON with 'inputs' or 'instances', or the input itself."
        )
    content_type = _content_type(request, reader)
    if content_type == JSON_TYPE:
        return _decode_json(request, reader)
    return Decoded(reader.row_from_body(request.body, content_type)[np.newaxis], "one")


def _readable(request: Request, reader: RowReader) -> Request:
    """The request with its parts, if any, apart; raises UnsupportedMediaError where its form does not go with that."""
    if request.content_encoding not in ("", "identity"):
        raise UnsupportedMediaError(
            f"Content-Encoding {shorten(request.content_encoding)} is not read here; send the body as it is."
        )
    if request.multipart_type:
        request = _taken_apart(request, reader)
    if request.parts is not None and request.form != "predictions":
        raise UnsupportedMediaError(f"A body of several parts is not read at {request.form}; expected JSON.")
    return request


def _decode_tensors(request: Request, reader: RowReader) -> Decoded:
    asked = read_inference_request(request)
    check_row_count(
        max((tensor.shape[0] for tensor in asked.tensors.values() if tensor.shape), default=1), reader
    )
    return Decoded(reader.rows_from_tensors(asked.tensors), asked)


def _taken_apart(request: Request, reader: RowReader) -> Request:
    parts = read_parts(request.body, request.multipart_type)
    if len(parts) > 1 or (parts and reader.parts_by_name):
        return replace(request, body=b"", content_type="", parts=parts)
    only = next(iter(parts.values()), Part(b""))
    return replace(request, body=only.body, content_type=only.content_type)


def encode_answers(answer: Literal["one", "many"], answers: list[Any]) -> Response:
    """The rows' answers: one as it stands, several under `predictions`."""
    document = answers[0] if answer == "one" else {"predictions": answers}
    return Response(200, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))


def collect_rows(values: Sequence[object], row_from_value: Callable[[Any], Rows]) -> Rows:
    """Every row by itself; raises RowsRefusedError with every bad row's number and what is wrong with it."""
    rows: list[Rows] = []
    problems: dict[int, RequestError] = {}
    for index, value in enumerate(values):
        try:
            rows.append(row_from_value(value))
        except RequestError as error:
            problems[index] = error
    if problems:
        raise RowsRefusedError(problems, len(values))
    return np.stack(rows)


def _content_type(request: Request, reader: RowReader) -> str:
    """The declared type, or where none is declared what the bytes look like."""
    declared = OTHER_NAMES.get(request.content_type, request.content_type)
    if request.form == "v1":
        return JSON_TYPE
    if declared == JSON_TYPE or declared.endswith("+json"):
        return image_type(request.body) or JSON_TYPE
    says_nothing = declared == RAW_TYPE and reader.raw_row_bytes is None
    if not declared or says_nothing:
        return guess_content_type(request.body, reader.raw_row_bytes)
    if declared == RAW_TYPE or declared in IMAGE_TYPES or (reader.reads_text and declared == TEXT_TYPE):
        return declared
    if declared in reader.media_types:
        return declared
    raise UnsupportedMediaError(
        f"Content-Type {shorten(declared)} is not read here; expected application/json, "
        f"{', '.join(sorted(reader.media_types)) or _usual_types(reader)}."
    )


def _usual_types(reader: RowReader) -> str:
    return f"{TEXT_TYPE if reader.reads_text else RAW_TYPE} or {', '.join(IMAGE_TYPES)}"


def _decode_json(request: Request, reader: RowReader) -> Decoded:
    document = parse_json(request.body)
    expected = (
        "{'instances': [row, …]}" if request.form == "v1" else "{'inputs': row} or {'instances': [row, …]}"
    )
    members = ["instances"] if request.form == "v1" else ["inputs", "instances"]
    if not isinstance(document, dict):
        raise MalformedRequestError(f"The document is {type_name(document)}; expected {expected}.")
    unknown = [name for name in document if name not in members]
    if unknown or len(document) != 1:
        found = ", ".join(shorten(name) for name in list(document)[:20]) or "no member"
        raise MalformedRequestError(f"The document has {found}; expected {expected} and nothing else.")
    if "inputs" in document and not reader.is_several(document["inputs"]):
        return Decoded(reader.row_from_value(document["inputs"])[np.newaxis], "one")
    [instances] = document.values()
    if not isinstance(instances, list):
        raise MalformedRequestError(f"'instances' is {type_name(instances)}; expected a list of rows.")
    check_row_count(len(instances), reader)
    return Decoded(reader.rows_from_values(instances), "many")


def check_row_count(count: int, reader: RowReader) -> None:
    """Raise InvalidInputError without rows, TooLargeError with too many for one request."""
    if count == 0:
        raise InvalidInputError("The request has no rows; expected at least one.")
    if count > reader.row_limit:
        raise TooLargeError(
            f"The request has {count} rows; at most {reader.row_limit} fit one request. Send several."
        )
