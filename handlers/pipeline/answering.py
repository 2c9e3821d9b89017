"""From requests to responses: what every task shares once it has a module.

A batch goes decode → preprocess → inference → postprocess. Decoding is per request, and what cannot be
decoded is answered with its own problem; the rows of all others go through the module together.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch

from statehouse.handlers.bodies.openai_embeddings import EmbeddingsRequest, write_embeddings
from statehouse.handlers.bodies.payload import Decoded, decode, encode_answers
from statehouse.handlers.errors import ModuleMismatchError, NonFiniteRowsError, RequestError
from statehouse.handlers.pipeline.batch import Share, describe_fault, run_batch
from statehouse.handlers.pipeline.inference_response import write_inference_response
from statehouse.handlers.pipeline.observer import Observer
from statehouse.handlers.pipeline.problem import problem_response
from statehouse.handlers.pipeline.row_buffer import RowBuffer
from statehouse.handlers.pipeline.task_contract import TaskContract
from statehouse.handlers.request import Request, Response
from statehouse.models.tasks.config import TaskConfig

logger = logging.getLogger(__name__)

MIN_CHUNK_ROWS = 64
UNOBSERVED = Observer()

TaskT = TypeVar("TaskT", bound=TaskConfig)


class Answering(TaskContract[TaskT]):
    """Answers batches of requests with `module`, which the subclass has built."""

    name = version = digest = ""
    module: torch.nn.Module
    chunk_rows = MIN_CHUNK_ROWS
    row_buffer: RowBuffer

    def answer(self, requests: Sequence[Request], observer: Observer = UNOBSERVED) -> list[Response]:
        """One response per request, in order; what is wrong with one request is told to it alone."""
        with observer.phase("decode"):
            decoded = [self._decode(request) for request in requests]
        try:
            results = self._run(decoded, observer)
        except NonFiniteRowsError as error:
            readable = [index for index, each in enumerate(decoded) if isinstance(each, Decoded)]
            for index in (readable[part] for part in error.parts):
                decoded[index] = self._decode(requests[index], strictly=True)
            results = self._run(decoded, observer)
        with observer.phase("postprocess"):
            headers, answered = self.version_headers(), dict[int, list[Any]]()
            return [
                self._respond(
                    request, each, next(results) if isinstance(each, Decoded) else each, headers, answered
                )
                for request, each in zip(requests, decoded, strict=True)
            ]

    def inference(self, inputs: Any) -> Any:  # noqa: ANN401 - tensors here; lists where rows differ in size
        """The module's output, computed without gradients in chunks that bound its memory."""
        with torch.inference_mode():
            at_once = self.task.rows_per_batch or self.chunk_rows
            if len(inputs) <= at_once:
                return _require_rows(self.module(inputs), len(inputs))
            chunks = [inputs[i : i + at_once] for i in range(0, len(inputs), at_once)]
            outputs = [_require_rows(self.module(chunk), len(chunk)) for chunk in chunks]
            return torch.cat(outputs)

    def _decode(self, request: Request, *, strictly: bool = False) -> Decoded | RequestError:
        try:
            quickly = self.quick.decode(request) if self.quick and not strictly else None
            decoded = quickly or decode(request, self)
            self.refuse_rows(decoded.rows)
        except RequestError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a fault of ours in one request must not reach its batch
            return unexpected(error)
        return decoded

    def _run(
        self, decoded: Sequence[Decoded | RequestError], observer: Observer
    ) -> Iterator[Share | RequestError]:
        readable = [each.rows for each in decoded if isinstance(each, Decoded)]
        observer.rows(sum(map(len, readable)))
        return iter(run_batch(self, readable, observer, self.row_buffer.gather))

    def _respond(
        self,
        request: Request,
        decoded: Decoded | RequestError,
        result: Share | RequestError,
        headers: Mapping[str, str],
        answered: dict[int, list[Any]],
    ) -> Response:
        try:
            response = self._encode(decoded, result, answered)
        except RequestError as error:
            response = problem_response(error, request)
        except Exception as error:  # noqa: BLE001 - as in _decode
            response = problem_response(unexpected(error), request)
        response.headers.update(headers)
        return response

    def _encode(
        self, decoded: Decoded | RequestError, result: Share | RequestError, answered: dict[int, list[Any]]
    ) -> Response:
        if isinstance(decoded, RequestError):
            raise decoded
        if isinstance(result, RequestError):
            raise result
        if isinstance(decoded.answer, str):
            return encode_answers(decoded.answer, self._answers(result, answered))
        if isinstance(decoded.answer, EmbeddingsRequest):
            return write_embeddings(decoded.answer, result.own()["embedding"], name=self.name)
        outputs = self.inference_outputs(result.own())
        return write_inference_response(decoded.answer, outputs, name=self.name, version=self.version)

    def _answers(self, share: Share, answered: dict[int, list[Any]]) -> list[Any]:
        """The answers to one request's rows; those of its whole batch are made at once."""
        batch = id(share.outputs)
        if batch not in answered:
            try:
                answered[batch] = self.row_answers(share.outputs)
            except Exception:  # noqa: BLE001 - then it is one request's fault, or everyone's
                return self.row_answers(share.own())
        return answered[batch][share.first : share.end]

    def version_headers(self) -> dict[str, str]:
        """What every answer says of where it comes from."""
        return {"X-Model-Version": self.version, "X-Model-Digest": self.digest}


def _require_rows(output: object, count: int) -> torch.Tensor:
    if isinstance(output, torch.Tensor) and output.ndim and len(output) == count:
        return output
    found = f"a tensor of {list(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
    raise ModuleMismatchError(
        f"the module answers {count} rows with {found}; expected one tensor whose first axis counts the rows"
    )


def unexpected(error: Exception) -> RequestError:
    """What is told of a fault of ours: its kind. Where it was stands in the log."""
    logger.error("unexpected while answering a request: %s", describe_fault(error))
    return RequestError(f"An unexpected {type(error).__name__}; the worker's log has its place.")
