"""Embeddings as OpenAI's API asks for them and answers: `POST …/v1/embeddings`.

Members are those of its reference of 2026: `model`, `input`, `encoding_format`, `dimensions`, `user`.
"""

import base64
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from statehouse.handlers.bodies.json_body import parse_json
from statehouse.handlers.bodies.numbers import shorten, type_name
from statehouse.handlers.errors import InvalidInputError, MalformedRequestError
from statehouse.handlers.request import Request, Response

MEMBERS = ("model", "input", "encoding_format", "dimensions", "user")
FORMATS = ("float", "base64")


class EmbeddingsRequest(NamedTuple):
    """What was asked: texts, the form of the vectors, and how long they are expected to be."""

    texts: list[object]
    as_base64: bool
    dimensions: int | None
    token_count: int = 0  # of all texts, once they are read


def read_embeddings_request(request: Request, *, name: str, version: str) -> EmbeddingsRequest:
    """The request in `request.body`, for version `version` of `name`.

    Raises MalformedRequestError or InvalidInputError, with everything that is wrong.
    """
    document = parse_json(request.body)
    if not isinstance(document, dict):
        raise MalformedRequestError(
            f"The document is {type_name(document)}; expected an object with model and input."
        )
    problems = [
        f"{shorten(member)} is unknown; expected {', '.join(MEMBERS)}."
        for member in document
        if member not in MEMBERS
    ]
    problems += [f"{member} is missing." for member in ("model", "input") if member not in document]
    model, encoding = document.get("model"), document.get("encoding_format", "float")
    if "model" in document and model not in (name, f"{name}/{version}"):
        problems.append(f"model is {shorten(model)}; expected {name!r}, as in the path.")
    if encoding not in FORMATS:
        problems.append(f"encoding_format is {shorten(encoding)}; expected {' or '.join(FORMATS)}.")
    dimensions = document.get("dimensions")
    if dimensions is not None and type(dimensions) is not int:
        problems.append(f"dimensions is {shorten(dimensions)}; expected a whole number.")
    given = document.get("input")
    texts = given if isinstance(given, list) else [given]
    if any(isinstance(each, int | list) for each in texts):
        problems.append("input has token ids; expected a text, or a list of texts.")
    if problems:
        raise InvalidInputError(" ".join(problems), errors=[{"detail": problem} for problem in problems])
    return EmbeddingsRequest(texts, encoding == "base64", dimensions)


def write_embeddings(asked: EmbeddingsRequest, vectors: NDArray[Any], *, name: str) -> Response:
    """The answer to `asked`: a vector per text, float32.

    Raises InvalidInputError where they are not as long as asked.
    """
    size = vectors.shape[1]
    if asked.dimensions not in (None, size):
        raise InvalidInputError(
            f"dimensions is {asked.dimensions}; this model's vectors have {size}, and are not cut."
        )
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector) if asked.as_base64 else vector}
        for index, vector in enumerate(np.ascontiguousarray(vectors, dtype="<f4"))
    ]
    usage = {"prompt_tokens": asked.token_count, "total_tokens": asked.token_count}
    document = {"object": "list", "data": data, "model": name, "usage": usage}
    return Response(200, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))


def _encoded(vector: NDArray[Any]) -> str:
    return base64.b64encode(vector.tobytes()).decode()
