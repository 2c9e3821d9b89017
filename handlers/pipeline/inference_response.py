"""Answers as the Open Inference Protocol wants them: JSON, or JSON followed by the tensors' bytes."""

import base64
from typing import Any

import orjson
from numpy.typing import NDArray

from statehouse.handlers.bodies.content import RAW_TYPE
from statehouse.handlers.bodies.inference_tensors import BYTES, datatype_of, write_bytes_elements
from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.bodies.open_inference import HEADER_LENGTH, InferenceRequest
from statehouse.handlers.errors import MalformedRequestError
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.request import Response


def write_inference_response(
    request: InferenceRequest, outputs: Outputs, *, name: str, version: str
) -> Response:
    """The outputs that were asked for, as JSON or binary as was asked; `outputs` hold one row per input row.

    Raises MalformedRequestError when an output was asked for that this model does not have.
    """
    chosen = request.outputs or dict.fromkeys(outputs, request.binary_by_default)
    unknown = [output for output in chosen if output not in outputs]
    if unknown:
        raise MalformedRequestError(
            f"Unknown outputs: {', '.join(map(shorten, unknown))}. This model has: {', '.join(outputs)}."
        )
    tail: list[bytes] = []
    described = [
        _describe(output, outputs[output], tail if binary else None) for output, binary in chosen.items()
    ]
    document = {"model_name": name, "model_version": version, "outputs": described}
    if request.identifier is not None:
        document["id"] = request.identifier
    header = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tail:
        return Response(200, header)
    headers = {HEADER_LENGTH: str(len(header))}
    return Response(200, b"".join([header, *tail]), RAW_TYPE, headers)


def _describe(name: str, array: NDArray[Any], tail: list[bytes] | None) -> dict[str, Any]:
    """The output's entry in the document; its bytes go to `tail` where there is one."""
    datatype = datatype_of(array)
    entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
    if tail is None:
        flat = array.ravel()
        return {**entry, "data": [_as_text(each) for each in flat] if datatype == BYTES else flat}
    binary = write_bytes_elements(array.ravel()) if datatype == BYTES else array.tobytes()
    tail.append(binary)
    return {**entry, "parameters": {"binary_data_size": len(binary)}}


def _as_text(element: str | bytes) -> str:
    """Bytes as base64: JSON has none."""
    return element if isinstance(element, str) else base64.b64encode(element).decode()
