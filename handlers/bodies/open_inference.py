"""Requests of the Open Inference Protocol (v2) over HTTP, with its binary tensor extension.

A binary body is the JSON document, as long as the header `Inference-Header-Content-Length` says, followed by
the bytes of every tensor that has a `binary_data_size`, in the order of the document.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from statehouse.handlers.bodies.inference_tensors import InputTensor, read_tensor
from statehouse.handlers.bodies.json_body import parse_json
from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.errors import EmptyBodyError, InvalidInputError, MalformedRequestError, RequestError
from statehouse.handlers.request import Body, Request

HEADER_LENGTH = "Inference-Header-Content-Length"
MAX_DIMENSIONS = 32
MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What was asked: the tensors by name, and which outputs, by name, as binary (True) or JSON (False)."""

    identifier: str | None
    tensors: dict[str, InputTensor]
    outputs: dict[str, bool] | None
    binary_by_default: bool


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="allow")

    binary_data_size: Annotated[int, Field(strict=True, ge=0)] | None = None
    binary_data: StrictBool | None = None
    binary_data_output: StrictBool = False
    classification: Any = None
    shared_memory_region: Any = None


class _Input(BaseModel):
    name: StrictStr
    datatype: StrictStr
    shape: list[Annotated[StrictInt, Field(ge=0)]] = Field(max_length=MAX_DIMENSIONS)
    parameters: _Parameters = _Parameters()
    data: Any = None


class _Output(BaseModel):
    name: StrictStr
    parameters: _Parameters = _Parameters()


class Document(BaseModel):
    """The JSON document of a request."""

    id: StrictStr | None = None
    parameters: _Parameters = _Parameters()
    inputs: list[_Input] = Field(min_length=1)
    outputs: list[_Output] | None = None


def read_inference_request(request: Request) -> InferenceRequest:
    """The request in `request.body`.

    Raises:
        MalformedRequestError: the document, or the lengths of what follows it, break the protocol.
        InvalidInputError: data that does not fit its own datatype and shape; every such tensor is named.
    """
    if not request.body:
        raise EmptyBodyError("The body is empty; an Open Inference Protocol request was expected.")
    length = header_length(request) if request.inference_header_length else len(request.body)
    document = read_document(request.body[:length])
    tensors = _read_tensors(document.inputs, memoryview(request.body)[length:])
    return replace(asked_beside_tensors(document), tensors=tensors)


def read_document(text: Body) -> Document:
    """The JSON document; raises MalformedRequestError where it breaks the protocol."""
    document = _validated(parse_json(text))
    _refuse_unsupported(document)
    return document


def asked_beside_tensors(document: Document) -> InferenceRequest:
    """What `document` asks, without its tensors."""
    return InferenceRequest(
        identifier=document.id,
        tensors={},
        outputs=_chosen_outputs(document),
        binary_by_default=document.parameters.binary_data_output,
    )


def header_length(request: Request) -> int:
    """How long the JSON document before binary data is; raises MalformedRequestError on no such number."""
    declared = request.inference_header_length
    is_number = declared.isascii() and declared.isdigit() and len(declared) <= MAX_DIGITS
    if not is_number or int(declared) > len(request.body):
        raise MalformedRequestError(
            f"{HEADER_LENGTH} is {shorten(declared)}; expected the length of the JSON document in bytes, "
            f"at most the body's {len(request.body)}."
        )
    return int(declared)


def _validated(document: object) -> Document:
    try:
        return Document.model_validate(document)
    except ValidationError as error:
        problems = [
            {"at": ".".join(map(str, problem["loc"])) or "the document", "detail": problem["msg"]}
            for problem in error.errors(include_url=False, include_input=False, include_context=False)[:100]
        ]
        told = "; ".join(f"{problem['at']}: {problem['detail']}" for problem in problems[:10])
        raise MalformedRequestError(
            f"This is no Open Inference Protocol request: {told}.", errors=problems
        ) from error


def _refuse_unsupported(document: Document) -> None:
    parameters = [document.parameters, *(tensor.parameters for tensor in document.inputs)]
    parameters += [output.parameters for output in document.outputs or []]
    for extension in ("shared_memory_region", "classification"):
        if any(getattr(each, extension) is not None for each in parameters):
            raise MalformedRequestError(
                f"The extension {extension!r} is not supported. Send tensors in the request, "
                "and take scores from the outputs."
            )


def _chosen_outputs(document: Document) -> dict[str, bool] | None:
    default = document.parameters.binary_data_output
    chosen = {
        output.name: default if output.parameters.binary_data is None else output.parameters.binary_data
        for output in document.outputs or []
    }
    return chosen or None


def _read_tensors(inputs: list[_Input], tail: memoryview) -> dict[str, InputTensor]:
    declared = sum(tensor.parameters.binary_data_size or 0 for tensor in inputs)
    if declared != len(tail):
        raise MalformedRequestError(
            f"The inputs declare {declared} bytes of binary data in all, and {len(tail)} bytes follow the "
            f"JSON document; they must agree. Check binary_data_size and {HEADER_LENGTH}."
        )
    tensors: dict[str, InputTensor] = {}
    problems: list[str] = []
    offset = 0
    for tensor in inputs:
        size = tensor.parameters.binary_data_size
        try:
            if tensor.name in tensors:
                raise InvalidInputError("the same input is given twice; give each once.")
            binary = None if size is None else tail[offset : offset + size]
            tensors[tensor.name] = read_tensor(
                tensor.name, tensor.datatype, tuple(tensor.shape), tensor.data, binary
            )
        except RequestError as error:
            problems.append(f"input {shorten(tensor.name)}: {error.detail}")
        offset += size or 0
    if problems:
        raise InvalidInputError(" ".join(problems), errors=[{"detail": problem} for problem in problems])
    return tensors
