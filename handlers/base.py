"""CheckpointHandler: from a checkpoint to a ready worker, and from requests to responses.

A batch goes decode → preprocess → inference → postprocess. Decoding is per request, and what cannot be
decoded is answered with its own problem; the rows of all others go through the module together.
"""

import importlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import compress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
import torch

from handlers.batch import Outputs, Share, describe_fault, run_batch, run_pipeline
from handlers.errors import (
    GoldenMismatchError,
    MissingTaskError,
    ModuleMismatchError,
    NonFiniteRowsError,
    RequestError,
    WorkerSettingsError,
)
from handlers.golden import GOLDEN_FILE, Golden, compare, read_golden
from handlers.inference_response import write_inference_response
from handlers.inference_tensors import datatype_of
from handlers.metrics import Observer, WorkerMetrics
from handlers.optimizations import CHECKED_ROWS, optimize
from handlers.payload import Decoded, decode, encode_answers
from handlers.priority import take_normal_priority
from handlers.problem import problem_response
from handlers.request import Request, Response, TorchServeContext, read_requests, write_responses
from handlers.row_buffer import RowBuffer
from handlers.server_timing import tell_times
from handlers.settings import WorkerSettings, check_identity, read_settings
from handlers.startup import (
    failure_told,
    quiet_worker,
    serving_device,
    socket_name,
)
from handlers.steps import TaskSteps
from handlers.worker_io import install
from models.architecture import get_architecture, validate_config
from models.architecture_import import import_architectures
from models.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint
from models.task_config import TaskConfig

logger = logging.getLogger(__name__)

MIN_CHUNK_ROWS = 64
ADOPTED_SIZES = (1, 2)
UNOBSERVED = Observer()

TaskT = TypeVar("TaskT", bound=TaskConfig)


class CheckpointHandler(TaskSteps[TaskT]):
    """What every task shares. A task is one subclass, alone in `handlers/<task>.py`."""

    name = version = digest = ""
    module: torch.nn.Module
    metrics: WorkerMetrics | None = None
    chunk_rows = MIN_CHUNK_ROWS
    sample_outputs: Outputs
    row_buffer: RowBuffer

    # From a checkpoint to a module that has proved itself.

    @staticmethod
    def from_checkpoint(
        checkpoint: Checkpoint,
        *,
        device: str | torch.device = "cpu",
        name: str = "",
        version: str = "",
        digest: str = "",
    ) -> "CheckpointHandler[Any]":
        """The handler of the checkpoint's task, with its module checked on one row and on two.

        Raises:
            MissingTaskError: the checkpoint names no task.
            ModuleMismatchError: the module does not take or give what the task says.
        """
        handler = handler_class(checkpoint.header)()
        handler.name, handler.version, handler.digest = name, version, digest
        handler.adopt(checkpoint, torch.device(device))
        return handler

    def adopt(self, checkpoint: Checkpoint, device: torch.device) -> None:
        """Build the module, and see that one row and two go through it."""
        if not isinstance(checkpoint.header.task, self.task_class):
            raise MissingTaskError(
                f"{type(self).__name__} serves {self.task_class.__name__}, and the checkpoint's task is "
                f"{checkpoint.header.task!r}"
            )
        self.task = checkpoint.header.task
        self.take(checkpoint.build(), input_shape_of(checkpoint.header), device)

    def take(
        self,
        module: torch.nn.Module,
        input_shape: tuple[int, ...] | None,
        device: torch.device,
        *,
        wrapped: bool = False,
    ) -> None:
        """Serve `module`, in eval mode, once one row and two went through it; the task is known by now.

        `wrapped` says that `wrap` was applied to it before it was recorded.
        """
        self.device = device
        self.module = (module if wrapped else self.wrap(module)).eval().to(device)
        floating = (p.dtype for p in self.module.parameters() if p.is_floating_point())
        self.dtype = next(floating, torch.float32)
        self.configure(input_shape)
        self.row_buffer = RowBuffer(
            min(self.chunk_rows, self.row_limit),
            self.row_shape,
            self.row_dtype,
            pinned=device.type == "cuda" and self.row_dtype.kind != "O",
        )
        self.warm_up(ADOPTED_SIZES)

    def warm_up(self, row_counts: Iterable[int]) -> None:
        """Send the made example through the module, as often repeated as each of `row_counts` says."""
        row = decode(self.make_example(), self).rows
        for count in row_counts:
            rows = np.repeat(row, count, axis=0)
            try:
                self.sample_outputs = run_pipeline(self, rows, UNOBSERVED)
            except ModuleMismatchError:
                raise
            except Exception as error:
                raise ModuleMismatchError(
                    f"the module raised {type(error).__name__} on {count} rows of {self.row_shape}: {error}"
                ) from error

    def check_golden(self, golden: Golden) -> None:
        """Answer every golden example; raises GoldenMismatchError with every difference."""
        kind = f"{self.device.type}/{str(self.dtype).removeprefix('torch.')}"
        if kind not in golden.tolerances:
            raise GoldenMismatchError(
                f"{GOLDEN_FILE} has no tolerance for {kind}; it has {golden.tolerances}"
            )
        problems = []
        for index, example in enumerate(golden.examples):
            [response] = self.answer([Request(example.body, example.content_type)])
            document = orjson.loads(response.body)
            if response.status != HTTPStatus.OK:
                problems.append(f"example {index}: refused, {document['detail']}")
                continue
            problems += compare(example.response, document, golden.tolerances[kind], f"example {index}: $")
        if problems:
            raise GoldenMismatchError(f"on {kind} the golden examples are answered differently:", problems)

    def tensor_outputs(self) -> list[dict[str, Any]]:
        """The outputs' names, datatypes and shapes, as the Open Inference Protocol's metadata gives them."""
        return [
            {"name": name, "datatype": datatype_of(array), "shape": [-1, *array.shape[1:]]}
            for name, array in self.sample_outputs.items()
        ]

    # From requests to responses.

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
            headers, answered = self._version_headers(), dict[int, list[Any]]()
            return [
                self._respond(
                    request, each, next(results) if isinstance(each, Decoded) else each, headers, answered
                )
                for request, each in zip(requests, decoded, strict=True)
            ]

    def inference(self, inputs: Any) -> Any:  # noqa: ANN401 - tensors here; lists where rows differ in size
        """The module's output, computed without gradients in chunks that bound its memory."""
        with torch.inference_mode():
            if len(inputs) <= self.chunk_rows:
                return _require_rows(self.module(inputs), len(inputs))
            chunks = [inputs[i : i + self.chunk_rows] for i in range(0, len(inputs), self.chunk_rows)]
            outputs = [_require_rows(self.module(chunk), len(chunk)) for chunk in chunks]
            return torch.cat(outputs)

    def _decode(self, request: Request, *, strictly: bool = False) -> Decoded | RequestError:
        try:
            quickly = self.quick.decode(request) if self.quick and not strictly else None
            return quickly or decode(request, self)
        except RequestError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a fault of ours in one request must not reach its batch
            return _unexpected(error)

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
            response = problem_response(_unexpected(error), request)
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
        return write_inference_response(decoded.answer, result.own(), name=self.name, version=self.version)

    def _answers(self, share: Share, answered: dict[int, list[Any]]) -> list[Any]:
        """The answers to one request's rows; those of its whole batch are made at once."""
        batch = id(share.outputs)
        if batch not in answered:
            try:
                answered[batch] = self.row_answers(share.outputs)
            except Exception:  # noqa: BLE001 - then it is one request's fault, or everyone's
                return self.row_answers(share.own())
        return answered[batch][share.first : share.end]

    def _version_headers(self) -> dict[str, str]:
        return {"X-Model-Version": self.version, "X-Model-Digest": self.digest}

    # What TorchServe calls.

    def initialize(self, context: TorchServeContext) -> None:
        """Load, warm up and prove the version that TorchServe's model folder names.

        Raises RuntimeError; the reason is then in the settings' failure file.
        """
        quiet_worker()
        try:
            settings = read_settings(Path(context.system_properties["model_dir"]))
        except WorkerSettingsError as error:  # without settings there is no failure file to name
            raise RuntimeError(str(error)) from error
        with failure_told(Path(settings.failure_file)):
            self._start(settings, serving_device(context.system_properties["gpu_id"]))
            take_normal_priority()

    def handle(self, data: Sequence[Mapping[str, Any]], context: TorchServeContext) -> list[bytes]:
        """Answer one batch; statuses and headers go into `context`.

        Never raises once it is initialised: TorchServe would fail the whole batch.
        """
        if self.metrics is None:
            raise RuntimeError("handle() was called before initialize()")
        responses = self._serve(len(data), self.metrics, lambda: read_requests(data, context))
        return write_responses(responses, context)

    def _serve(
        self, count: int, metrics: WorkerMetrics, read: Callable[[], Sequence[Request]]
    ) -> list[Response]:
        metrics.begin(count)
        counted = [True] * count
        try:
            requests = read()
            counted = [request.counted for request in requests]
            responses = tell_times(self.answer, requests, metrics)
        except Exception as error:  # noqa: BLE001 - TorchServe would fail the whole batch
            failed = problem_response(_unexpected(error))
            failed.headers.update(self._version_headers())
            responses = [failed] * count
        metrics.finish(list(compress(responses, counted)))
        return responses

    def _start(self, settings: WorkerSettings, device: torch.device) -> None:
        self.name, self.version, self.digest = settings.name, settings.version, settings.digest
        import_architectures(settings.architectures)
        metrics = WorkerMetrics(Path(settings.metrics_folder), name=self.name, version=self.version)
        metrics.started(socket_name())
        with metrics.starting("load"):
            self._load(settings, device)
        with metrics.starting("warm_up"):
            self.warm_up(_warm_up_sizes(settings.batch_size))
        with metrics.starting("verify"):
            self.check_golden(read_golden(Path(settings.version_folder, GOLDEN_FILE)))
        self.metrics = metrics
        if settings.fast_io:
            install(lambda requests: self._serve(len(requests), metrics, lambda: requests))

    def _load(self, settings: WorkerSettings, device: torch.device) -> None:
        check_identity(settings)
        torch.set_num_threads(settings.threads)
        self.chunk_rows = max(MIN_CHUNK_ROWS, settings.batch_size)
        self.adopt(load_checkpoint(settings.checkpoint_path, map_location=device), device)
        if settings.optimizations:
            made = [decode(self.make_example(seed), self).rows for seed in range(CHECKED_ROWS)]
            self.module = optimize(self.module, self.preprocess(np.concatenate(made)), settings.optimizations)


def handler_class(header: CheckpointHeader) -> type[CheckpointHandler[Any]]:
    """The handler of the checkpoint's task: the one class in `handlers.<task>`."""
    if header.task is None:
        raise MissingTaskError(
            f"{header.path} names no task, so nothing says how to read a request; give one"
        )
    return handler_of(header.task.task)


def handler_of(task_name: str) -> type[CheckpointHandler[Any]]:
    """The handler of the task of this name, which is known."""
    module = importlib.import_module(f"handlers.{task_name}")
    [handler] = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, CheckpointHandler)
        and value.__module__ == module.__name__
    ]
    return handler


def input_shape_of(header: CheckpointHeader) -> tuple[int, ...] | None:
    """Shape of one row of the module's input, where its architecture says it."""
    if header.architecture is None or header.config is None:
        return None
    input_shape = get_architecture(header.architecture).input_shape
    return input_shape(validate_config(header.architecture, header.config)) if input_shape else None


def _warm_up_sizes(batch_size: int) -> list[int]:
    """Beyond those it was adopted with: 4, 8 … and the batch size itself; modules prepare themselves by size."""
    sizes = {batch_size, *(2**power for power in range(batch_size.bit_length()))}
    return sorted(sizes.difference(ADOPTED_SIZES))


def _require_rows(output: object, count: int) -> torch.Tensor:
    if isinstance(output, torch.Tensor) and output.ndim and len(output) == count:
        return output
    found = f"a tensor of {list(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
    raise ModuleMismatchError(
        f"the module answers {count} rows with {found}; expected one tensor whose first axis counts the rows"
    )


def _unexpected(error: Exception) -> RequestError:
    logger.error("unexpected while answering a request: %s", describe_fault(error))
    return RequestError(f"An unexpected {type(error).__name__}; the worker's log has its place.")
