"""Golden examples when a version is published: where they come from, and what they are answered from then on.

Imports torch, by way of the handlers: import it late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.bodies.content import guess_content_type
from statehouse.handlers.errors import DependentRowsError, GoldenMismatchError
from statehouse.handlers.golden import DEFAULT_TOLERANCES, Golden, Source, compare
from statehouse.handlers.request import Request, bare_type
from statehouse.handlers.row_proof import RowProof
from statehouse.models.example import Example
from statehouse.scripts.errors import ExampleFileError

MAX_EXAMPLE_BYTES = 16 * 1024 * 1024  # every worker answers all of them before it is ready
MADE_SEED = 0
PROVED_SIZES = (2, 3, 8, 32)  # each worker proves the size of its own batches as well
ROW_PROOF_SECONDS = 30.0

Handler = CheckpointHandler[Any]


@dataclass(frozen=True)
class Candidate:
    """A request that may become a golden example; ``origin`` names it to people."""

    origin: str
    example: Example


def read_example_file(path: Path) -> bytes:
    """Return the body that a file given as an example holds; ExampleFileError when it cannot be one."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ExampleFileError(f"The example {path} cannot be read: {error.strerror}.") from error
    if not body or len(body) > MAX_EXAMPLE_BYTES:
        raise ExampleFileError(
            f"The example {path} has {len(body)} bytes; expected one request's body, "
            f"1 to {MAX_EXAMPLE_BYTES} bytes."
        )
    return body


def collect_candidates(
    handler: Handler, own: Sequence[Example], files: Iterable[Path]
) -> tuple[Source, list[Candidate]]:
    """Return the checkpoint's own examples and those in ``files``; with neither, one made of the schema.

    The source is where the last of them comes from. Raises ExampleFileError.
    """
    from_checkpoint = [
        Candidate(f"example {index} of the checkpoint", _with_bare_type(example))
        for index, example in enumerate(own)
    ]
    from_files = [Candidate(str(path), _from_body(handler, read_example_file(path))) for path in files]
    if from_files:
        return "file", from_checkpoint + from_files
    if from_checkpoint:
        return "checkpoint", from_checkpoint
    made = handler.make_example(MADE_SEED)
    example = Example(content_type=made.content_type, body=bytes(made.body))
    return "made", [Candidate("the example made from the input schema", example)]


def answer_candidates(
    handler: Handler, source: Source, candidates: Sequence[Candidate]
) -> tuple[Golden | None, list[str]]:
    """Return the golden examples with the handler's own answers, or None and all that is wrong with them.

    An example that states its response must be answered so, and each must be answered twice alike.
    """
    kind = f"{handler.device.type}/{str(handler.dtype).removeprefix('torch.')}"
    if kind not in DEFAULT_TOLERANCES:
        known = ", ".join(DEFAULT_TOLERANCES)
        return None, [f"nothing says how near answers on {kind} must be; expected one of {known}: convert it"]
    examples: list[Example] = []
    problems: list[str] = []
    for candidate in candidates:
        response, found = _answer(handler, candidate, DEFAULT_TOLERANCES[kind])
        problems += [f"{candidate.origin}: {problem}" for problem in found]
        examples.append(candidate.example.model_copy(update={"response": response}))
    if problems:
        return None, problems
    golden = Golden(source=source, examples=examples)
    try:
        handler.check_golden(golden)
    except GoldenMismatchError as error:
        return None, [
            f"the model answers the same request differently each time: {p}" for p in error.problems
        ]
    return golden, []


def prove_rows_of(handler: Handler, golden: Golden) -> tuple[RowProof | None, list[str]]:
    """Return how it was seen that an answer is its row's alone, or None and what is against it."""
    try:
        proof = handler.prove_rows(golden, PROVED_SIZES, bound_seconds=ROW_PROOF_SECONDS)
    except DependentRowsError as error:
        return None, error.problems
    return proof, []


def _answer(handler: Handler, candidate: Candidate, tolerance: float) -> tuple[dict[str, Any], list[str]]:
    example = candidate.example
    [response] = handler.answer([Request(example.body, example.content_type)])
    document: dict[str, Any] = json.loads(response.body)
    if response.status != 200:
        return document, [f"is answered {response.status}: {document['detail']}"]
    if example.response is None:
        return document, []
    differences = compare(example.response, document, tolerance)
    return document, [f"does not get the response that it states: {difference}" for difference in differences]


def _with_bare_type(example: Example) -> Example:
    return example.model_copy(update={"content_type": bare_type(example.content_type)})


def _from_body(handler: Handler, body: bytes) -> Example:
    return Example(content_type=guess_content_type(body, handler.raw_row_bytes), body=body)
