"""CheckpointHandler: from a checkpoint to a module that has proved itself, and what TorchServe calls."""

import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import compress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
import torch

from statehouse.handlers.bodies.inference_tensors import datatype_of
from statehouse.handlers.bodies.payload import decode
from statehouse.handlers.errors import (
    GoldenMismatchError,
    MissingTaskError,
    ModuleMismatchError,
    OptimizationError,
    WorkerSettingsError,
)
from statehouse.handlers.golden import GOLDEN_FILE, Golden, compare, read_golden
from statehouse.handlers.optimizations import CHECKED_ROWS, optimize
from statehouse.handlers.pipeline.answering import MIN_CHUNK_ROWS, UNOBSERVED, Answering, unexpected
from statehouse.handlers.pipeline.batch import Outputs, run_pipeline
from statehouse.handlers.pipeline.problem import problem_response
from statehouse.handlers.pipeline.row_buffer import RowBuffer
from statehouse.handlers.pipeline.server_timing import tell_times
from statehouse.handlers.request import Request, Response, TorchServeContext, read_requests, write_responses
from statehouse.handlers.row_proof import LEAST_ROWS, MADE_ROWS, MOST_ROWS, RowProof, prove_rows
from statehouse.handlers.worker.allocator import keep_freed_memory
from statehouse.handlers.worker.door import Door
from statehouse.handlers.worker.door_files import DoorFiles
from statehouse.handlers.worker.metrics import WorkerMetrics
from statehouse.handlers.worker.priority import take_normal_priority
from statehouse.handlers.worker.settings import Optimization, WorkerSettings, check_identity, read_settings
from statehouse.handlers.worker.startup import failure_told, quiet_worker, serving_device, socket_name
from statehouse.handlers.worker.torchserve_loop import install
from statehouse.models.architecture import get_architecture, validate_config
from statehouse.models.architecture_import import import_architectures
from statehouse.models.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint
from statehouse.models.snapshots.importing import import_snapshot
from statehouse.models.tasks.config import TaskConfig

ADOPTED_SIZES = (1, 2)
ROW_PROOF_SECONDS = 5.0  # of a worker that starts; publishing takes more

TaskT = TypeVar("TaskT", bound=TaskConfig)


class CheckpointHandler(Answering[TaskT]):
    """What every task shares. A task is one subclass, alone in `handlers/<task>.py`."""

    metrics: WorkerMetrics | None = None
    example_outputs: Outputs
    computed_in: torch.dtype  # of the numbers inside the module: how near answers must be goes by that

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
        self.dtype = self.computed_in = next(floating, torch.float32)
        self.configure(input_shape)
        self.row_buffer = RowBuffer(
            min(self.chunk_rows, self.row_limit),
            self.row_shape,
            self.row_dtype,
            pinned=device.type == "cuda" and self.row_dtype.kind != "O",
        )
        self.warm_up(ADOPTED_SIZES)

    def optimized(self, optimizations: Sequence[Optimization]) -> torch.nn.Module:
        """What to call instead of `module`, which may be changed by it; raises OptimizationError."""
        if "freeze" in optimizations and len(self.input_axes) > 1:
            raise OptimizationError(
                "optimization 'freeze' cannot be applied: rows of this task differ in size, and what is recorded "
                "may be right for one size alone; leave it out of the deployment"
            )
        made = [decode(self.make_example(seed), self).rows for seed in range(CHECKED_ROWS)]
        return optimize(self.module, self.preprocess(np.concatenate(made)), optimizations)

    def warm_up(self, row_counts: Iterable[int]) -> None:
        """Send the made example through the module, as often repeated as each of `row_counts` says."""
        row = decode(self.make_example(), self).rows
        for count in row_counts:
            rows = np.repeat(row, count, axis=0)
            try:
                self.example_outputs = run_pipeline(self, rows, UNOBSERVED)
            except ModuleMismatchError:
                raise
            except Exception as error:
                raise ModuleMismatchError(
                    f"the module raised {type(error).__name__} on {count} rows of {self.row_shape}: {error}"
                ) from error

    def check_golden(self, golden: Golden) -> None:
        """Answer every golden example; raises GoldenMismatchError with every difference."""
        kind = f"{self.device.type}/{str(self.computed_in).removeprefix('torch.')}"
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

    def prove_rows(self, golden: Golden, sizes: Iterable[int], *, bound_seconds: float) -> RowProof:
        """See that an answer is its row's alone, in batches of `sizes` too; raises DependentRowsError.

        The rows are those of the golden examples; made ones beside them.
        """
        asked = [decode(Request(each.body, each.content_type), self).rows for each in golden.examples]
        own = np.concatenate(asked)[: MOST_ROWS - MADE_ROWS]
        seeds = range(1, 1 + max(MADE_ROWS, LEAST_ROWS - len(own)))
        made = [decode(self.make_example(seed), self).rows for seed in seeds]
        return prove_rows(self, np.concatenate([own, *made]), sizes, bound_seconds=bound_seconds)

    def tensor_outputs(self) -> list[dict[str, Any]]:
        """The outputs' names, datatypes and shapes, as the Open Inference Protocol's metadata gives them."""
        return [
            {"name": name, "datatype": datatype_of(array), "shape": [-1, *array.shape[1:]]}
            for name, array in self.example_outputs.items()
        ]

    # What TorchServe calls.

    def initialize(self, context: TorchServeContext) -> None:
        """Load, warm up and prove the version that TorchServe's model folder names.

        Raises RuntimeError; the reason is then in the settings' failure file.
        """
        quiet_worker()
        keep_freed_memory()
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
        self,
        count: int,
        metrics: WorkerMetrics,
        read: Callable[[], Sequence[Request]],
        waits: Sequence[float] = (),
    ) -> list[Response]:
        metrics.begin(count)
        counted = [True] * count
        try:
            requests = read()
            counted = [request.counted for request in requests]
            responses = tell_times(self.answer, requests, metrics, waits)
        except Exception as error:  # noqa: BLE001 - TorchServe would fail the whole batch
            failed = problem_response(unexpected(error))
            failed.headers.update(self.version_headers())
            responses = [failed] * count
        metrics.waited(list(compress(waits, counted)))
        metrics.finish(list(compress(responses, counted)))
        return responses

    def _start(self, settings: WorkerSettings, device: torch.device) -> None:
        self.name, self.version, self.digest = settings.name, settings.version, settings.digest
        if settings.snapshot is not None:
            snapshot = settings.snapshot
            import_snapshot(Path(snapshot.folder), snapshot.module, snapshot.digest)
        import_architectures(settings.architectures)
        metrics = WorkerMetrics(Path(settings.metrics_folder), name=self.name, version=self.version)
        metrics.started(socket_name())
        with metrics.starting("load"):
            self._load(settings, device)
        with metrics.starting("warm_up"):
            self.warm_up(_warm_up_sizes(settings.batch_size))
        with metrics.starting("verify"):
            golden = read_golden(Path(settings.version_folder, GOLDEN_FILE))
            self.check_golden(golden)
            self.prove_rows(golden, [settings.batch_size], bound_seconds=ROW_PROOF_SECONDS)
        self.metrics = metrics
        install(
            lambda: self._open_door(settings, metrics),
            lambda requests: self._serve(len(requests), metrics, lambda: requests),
        )

    def _open_door(self, settings: WorkerSettings, metrics: WorkerMetrics) -> Door:
        return Door(
            DoorFiles.of(settings.door, os.getpid()),
            lambda requests, waits: self._serve(len(requests), metrics, lambda: requests, waits),
            batch_size=settings.batch_size,
            max_body_bytes=settings.max_request_bytes,
            deadline_seconds=settings.request_timeout_seconds,
        )

    def _load(self, settings: WorkerSettings, device: torch.device) -> None:
        check_identity(settings)
        torch.set_num_threads(settings.threads)
        self.chunk_rows = max(MIN_CHUNK_ROWS, settings.batch_size)
        self.adopt(load_checkpoint(settings.checkpoint_path, map_location=device), device)
        if settings.optimizations:
            self.module = self.optimized(settings.optimizations)
            self.computed_in = torch.bfloat16 if "bfloat16" in settings.optimizations else self.dtype


def handler_class(header: CheckpointHeader) -> type[CheckpointHandler[Any]]:
    """The handler of the checkpoint's task: the one class in `statehouse.handlers.<task>`."""
    if header.task is None:
        raise MissingTaskError(
            f"{header.path} names no task, so nothing says how to read a request; give one"
        )
    return handler_of(header.task.task)


def handler_of(task_name: str) -> type[CheckpointHandler[Any]]:
    """The handler of the task of this name, which is known."""
    module = importlib.import_module(f"statehouse.handlers.{task_name}")
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
