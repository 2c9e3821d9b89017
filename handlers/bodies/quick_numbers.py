"""Numbers straight from a body to NumPy, for tasks whose rows are nothing but numbers.

What a body says beside its numbers is mostly the same from request to request. So the numbers are cut out and
read by simdjson into one array, and the rest is read by the strict readers, with a marker where the numbers
were, and remembered. What is not taken here, be it wrong or only unusual, goes to the strict readers as a
whole; they say what is wrong. Whether the numbers are finite is for the caller to see, once for a batch.
"""

import secrets
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson
import simdjson

from statehouse.handlers.bodies.content import RAW_TYPE
from statehouse.handlers.bodies.inference_tensors import datatype_of
from statehouse.handlers.bodies.json_body import parse_json
from statehouse.handlers.bodies.open_inference import (
    InferenceRequest,
    asked_beside_tensors,
    header_length,
    read_document,
)
from statehouse.handlers.bodies.payload import Decoded, Rows
from statehouse.handlers.errors import RequestError
from statehouse.handlers.request import JSON_TYPE, Request

MAX_PLANS = 64
MAX_TEXT_BYTES = 2048  # of what stands beside the numbers
SIMDJSON_TYPES: dict[str, tuple[Literal["d", "i"], np.dtype[Any]]] = {
    "f": ("d", np.dtype("f8")),
    "i": ("i", np.dtype("i8")),
}

PlanKey = tuple[str, bytes, bytes]


class Plan(NamedTuple):
    """What a body says beside its numbers; `shape` is that of the numbers, None: as many rows as come."""

    answer: Literal["one", "many"] | InferenceRequest
    shape: tuple[int, ...] | None
    may_be_flat: bool = False


class QuickNumbers:
    """Reads rows of `row_shape` and `dtype` (a float, or int64); `input_name` is the tensor's under v2."""

    def __init__(
        self, row_shape: tuple[int, ...], dtype: np.dtype[Any], *, row_limit: int, input_name: str
    ) -> None:
        self._row_shape, self._dtype, self._row_limit = row_shape, dtype.newbyteorder("<"), row_limit
        self._row_bytes = prod(row_shape) * dtype.itemsize
        self._input_name, self._datatype = input_name, datatype_of(np.empty(0, dtype))
        self._of_type, self._read_dtype = SIMDJSON_TYPES[dtype.kind]
        self._parser = simdjson.Parser()
        self._plans: dict[PlanKey, Plan | None] = {}
        self._marker = secrets.token_hex(16)  # nobody can know it, so nobody can have sent it

    def decode(self, request: Request) -> Decoded | None:
        """The rows of `request`, not yet of the final dtype nor seen to be finite; None: read it strictly."""
        body = request.body
        if not body or request.content_encoding or request.multipart_type or request.parts is not None:
            return None
        if request.form == "openai":
            return None
        if request.form == "v2":
            if request.inference_header_length:
                return self._decode_binary(request)
            return self._decode_json("v2", body, body.find(b'"data"'))
        if request.form == "v1" or request.content_type in (JSON_TYPE, ""):
            return self._decode_json(request.form, body, 0)
        if request.content_type == RAW_TYPE and len(body) == self._row_bytes:
            return Decoded(np.frombuffer(body, self._dtype).reshape(1, *self._row_shape), "one")
        return None

    def _decode_json(self, form: str, body: bytes | bytearray, place: int) -> Decoded | None:
        begin = body.find(b"[", place) if place >= 0 else -1
        if begin < 0 or body[:1] != b"{":
            return None
        if form == "v2":  # other lists may follow; as many brackets as open the list close it
            depth = 2 if body[begin + 1 : begin + 2] == b"[" else 1
            end = body.find(b"]" * depth, begin) + depth
        else:
            end = body.rfind(b"]") + 1
        if len(body) - (end - begin) > MAX_TEXT_BYTES:
            return None
        plan = self._plan(form, bytes(body[:begin]), bytes(body[end:]))
        rows = self._read(bytes(body[begin:end]), plan) if plan else None
        return None if plan is None or rows is None else Decoded(rows, plan.answer)

    def _decode_binary(self, request: Request) -> Decoded | None:
        length = header_length(request)
        if length > MAX_TEXT_BYTES:
            return None
        plan = self._plan("binary", bytes(request.body[:length]), b"")
        if plan is None or plan.shape is None or len(request.body) - length != self._bytes_of(plan.shape):
            return None
        rows = np.frombuffer(request.body, self._dtype, offset=length).reshape(plan.shape)
        return Decoded(rows, plan.answer)

    def _bytes_of(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self._dtype.itemsize

    # The numbers.

    def _read(self, text: bytes, plan: Plan) -> Rows | None:
        try:
            array: Any = self._parser.parse(text)
            shape = plan.shape or (len(array), *self._row_shape)
            is_flat = plan.may_be_flat and text.find(b"[", 1) < 0 and len(array) == prod(shape)
            if not is_flat and not _has_shape(array, text, shape):
                return None
            numbers = np.frombuffer(array.as_buffer(of_type=self._of_type), self._read_dtype)
        except (ValueError, TypeError, RuntimeError):  # no JSON, no numbers only, a number beyond 64 bits
            return None
        count = len(numbers) // max(1, prod(self._row_shape))
        if not 1 <= count <= self._row_limit:
            return None
        return numbers.reshape(count, *self._row_shape)

    # What stands beside them.

    def _plan(self, form: str, head: bytes, tail: bytes) -> Plan | None:
        key = form, head, tail
        if key in self._plans:
            return self._plans[key]
        try:
            plan = self._make_plan(*key)
        except RequestError:
            plan = None
        if len(self._plans) >= MAX_PLANS:
            del self._plans[next(iter(self._plans))]
        self._plans[key] = plan
        return plan

    def _make_plan(self, form: str, head: bytes, tail: bytes) -> Plan | None:
        if form == "binary":
            return self._tensor_plan(head, None)
        text = head + orjson.dumps(self._marker) + tail
        if form == "v2":
            return self._tensor_plan(text, self._marker)
        document = parse_json(text)
        if document == {"inputs": self._marker} and form == "predictions":
            return Plan("one", self._row_shape) if self._row_shape else None
        return Plan("many", None) if document == {"instances": self._marker} else None

    def _tensor_plan(self, text: bytes, data: str | None) -> Plan | None:
        document = read_document(text)
        first = document.inputs[0]
        shape = tuple(first.shape)
        fits = (
            len(document.inputs) == 1
            and (first.name, first.datatype, first.data) == (self._input_name, self._datatype, data)
            and shape[1:] == self._row_shape
            and 1 <= shape[0] <= self._row_limit
            and first.parameters.binary_data_size == (self._bytes_of(shape) if data is None else None)
        )
        return Plan(asked_beside_tensors(document), shape, may_be_flat=True) if fits else None


def _has_shape(array: Any, text: bytes, shape: tuple[int, ...]) -> bool:  # noqa: ANN401 - simdjson's Array
    """Whether `text`, parsed as `array`, is lists nested exactly so; what is in the innermost is not seen."""
    if len(shape) == 1:
        return len(array) == shape[0] and text.find(b"[", 1) < 0
    list_count = sum(prod(shape[:axis]) for axis in range(len(shape)))
    return text.count(b"[") == list_count and _sizes_fit(array, shape)


def _sizes_fit(array: Any, shape: tuple[int, ...]) -> bool:  # noqa: ANN401
    if type(array) is not simdjson.Array or len(array) != shape[0]:
        return False
    return len(shape) == 1 or all(_sizes_fit(part, shape[1:]) for part in array)
