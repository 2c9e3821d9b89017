"""What a request has to be answered with, by the schema that its version publishes and the meanings of the statuses.

None of the product's code: the JSON is Python's, held to RFC 8259, and the values are judged by jsonschema. The
meanings are those of `/openapi.json`: 400 no body, broken text or JSON, or none of the request forms; 415 a type of
body that is not read; 422 a value that does not fit.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator

Json = dict[str, Any]
JSON_TYPE, RAW_TYPE = "application/json", "application/octet-stream"
JSON_BEGINNINGS = (b"{", b"[")
PREDICTIONS, V1, V2 = "predictions", "v1", "v2"

# The Open Inference Protocol's, as far as the fuzzed documents go.
_TENSOR: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "datatype": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    },
    "required": ["name", "datatype", "shape"],
}
PROTOCOL: Json = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "null"]},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
    },
    "required": ["inputs"],
}


class NotJsonError(ValueError):
    """By RFC 8259, or with a member that is there twice."""


class Oracle:
    """Of one version whose rows are `numbers` float32 numbers, and whose schema of one row says so."""

    def __init__(self, row_schema: Json, numbers: int) -> None:
        self._row_schema = row_schema
        self._numbers = numbers

    def status(self, form: str, content_type: str | None, body: bytes) -> int:
        if not body.strip(b" \t\r\n\v\f"):
            return 400
        if content_type is not None and content_type.startswith("multipart/"):
            return 400  # none of what is sent here has its boundaries
        if form == PREDICTIONS and not self._is_sent_as_json(content_type, body):
            if content_type not in (None, RAW_TYPE):
                return 415
            return self._raw(body)
        try:
            document = parse(body)
        except ValueError:
            return 400
        return self._inference(document) if form == V2 else self._rows(form, document)

    def rows(self, form: str, content_type: str | None, body: bytes) -> int | None:
        """Return how many rows a right request has; None where it asks for one answer, not for a list."""
        if form == PREDICTIONS and not self._is_sent_as_json(content_type, body):
            return None
        document = parse(body)
        if form == V2:
            return int(document["inputs"][0]["shape"][0])
        return len(document["instances"]) if "instances" in document else None

    def _is_sent_as_json(self, content_type: str | None, body: bytes) -> bool:
        if content_type is not None:
            return content_type == JSON_TYPE
        # Without a type by its beginning; as many bytes as a row has are one, unless they are JSON to the end.
        if not body.lstrip().startswith(JSON_BEGINNINGS):
            return False
        return len(body) != 4 * self._numbers or _is_json(body)

    def _raw(self, body: bytes) -> int:
        fits = len(body) == 4 * self._numbers and bool(np.isfinite(np.frombuffer(body, "<f4")).all())
        return 200 if fits else 422

    def _rows(self, form: str, document: Any) -> int:
        members = {"instances"} if form == V1 else {"inputs", "instances"}
        if not isinstance(document, dict) or len(document) != 1 or not document.keys() <= members:
            return 400
        [(name, value)] = document.items()
        if name == "instances" and not isinstance(value, list):
            return 400
        rows = value if name == "instances" else [value]
        return 200 if rows and all(map(self._fits, rows)) else 422

    def _fits(self, row: Any) -> bool:
        return Draft202012Validator(self._row_schema).is_valid(row) and all(map(_is_float32, row))

    def _inference(self, document: Any) -> int:
        if not Draft202012Validator(PROTOCOL).is_valid(document):
            return 400
        [first, *others] = document["inputs"]
        shape, data = first["shape"], first.get("data")
        said = (first["name"], first["datatype"], len(shape), shape[1:]) == (
            "input",
            "FP32",
            2,
            [self._numbers],
        )
        if others or not said or not shape[0] or not isinstance(data, list):
            return 422
        flat = [data[at : at + self._numbers] for at in range(0, len(data), self._numbers)]
        rows = data if data and isinstance(data[0], list) else flat
        return 200 if len(rows) == shape[0] and all(map(self._fits, rows)) else 422


def parse(body: bytes) -> Any:
    """Return the document; ValueError where it is none."""
    # Numbers may be refused beyond what a double holds (RFC 8259, 6), and are.
    document = json.loads(
        body.decode("utf-8"),
        parse_constant=_refuse,
        parse_float=_double,
        parse_int=_whole,
        object_pairs_hook=_once,
    )
    json.dumps(document, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    return document


def _is_json(body: bytes) -> bool:
    try:
        parse(body)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise NotJsonError(constant)


def _double(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise NotJsonError(f"{digits} is beyond a double")
    return number


def _whole(digits: str) -> int:
    _double(digits)
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> Json:
    if len(dict(pairs)) < len(pairs):
        raise NotJsonError("a member is there twice")
    return dict(pairs)


def _is_float32(number: Any) -> bool:
    try:
        with np.errstate(over="ignore"):
            return math.isfinite(np.float32(number))
    except OverflowError:
        return False
