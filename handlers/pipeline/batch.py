"""Rows of several requests through one forward pass; when that fails, each request alone."""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, repeat
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from statehouse.handlers.errors import (
    InferenceFailedError,
    NonFiniteOutputError,
    NonFiniteRowsError,
    OutOfMemoryError,
    RequestError,
)
from statehouse.handlers.pipeline.observer import Observer

logger = logging.getLogger(__name__)

Outputs = Mapping[str, NDArray[Any]]
"""The answers to some rows: arrays by output name, whose first axis counts the rows."""


class Pipeline(Protocol):
    """The three phases of a batch."""

    def preprocess(self, rows: NDArray[Any]) -> Any:  # noqa: ANN401 - a tensor, or a list where rows differ in size
        """Rows to the module's input, on its device."""

    def inference(self, inputs: Any) -> Any:  # noqa: ANN401 - one entry per row
        """The module's input to its output."""

    def postprocess(self, outputs: Any) -> Outputs:  # noqa: ANN401 - what `inference` gave
        """The module's output to answers."""


def run_pipeline(pipeline: Pipeline, rows: NDArray[Any], observer: Observer) -> Outputs:
    """The answers to `rows`, each phase observed."""
    with observer.phase("preprocess"):
        inputs = pipeline.preprocess(rows)
    with observer.phase("inference"):
        outputs = pipeline.inference(inputs)
    with observer.phase("postprocess"):
        return pipeline.postprocess(outputs)


class Share(NamedTuple):
    """One request's rows among the outputs of a whole batch: from `first` to before `end`."""

    outputs: Outputs
    first: int
    end: int

    def own(self) -> Outputs:
        """The outputs of this request alone."""
        return {name: array[self.first : self.end] for name, array in self.outputs.items()}


def run_batch(
    pipeline: Pipeline,
    requests: Sequence[NDArray[Any]],
    observer: Observer,
    gather: Callable[[Sequence[NDArray[Any]]], NDArray[Any]] = np.concatenate,
) -> list[Share | RequestError]:
    """The answers to each request's rows, from one pass; where that fails, from one pass per request.

    `gather` puts the rows of all requests into one array, which the module may change; the raises of
    NonFiniteRowsError are its own.
    """
    if not requests:
        return []
    dtype = requests[0].dtype
    try:
        rows = gather(requests)
        dtype = rows.dtype
        outputs = run_pipeline(pipeline, rows, observer)
    except NonFiniteRowsError:
        raise
    except Exception as error:  # noqa: BLE001 - a module is anybody's code
        if len(requests) == 1:
            return [error if isinstance(error, RequestError) else _failed(error)]
        logger.warning("a batch of %d requests failed (%s); running each alone", len(requests), _told(error))
        return [run_batch(pipeline, [part.astype(dtype)], observer)[0] for part in requests]
    return _shares(outputs, list(map(len, requests)))


def _shares(outputs: Outputs, counts: Sequence[int]) -> list[Share | RequestError]:
    ends = list(accumulate(counts))
    shares = list(map(Share, repeat(outputs), [0, *ends], ends))
    if all(map(_is_finite, outputs.values())):
        return [*shares]
    return [_non_finite(share.own()) or share for share in shares]


def _is_finite(array: NDArray[Any]) -> bool:
    if array.dtype.kind == "O":  # one array per row, where rows differ in size
        return all(_is_finite(row) for row in array if isinstance(row, np.ndarray))
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _non_finite(outputs: Outputs) -> RequestError | None:
    for name, array in outputs.items():
        if not _is_finite(array):
            rows = [row for row, values in enumerate(array) if not _is_finite(np.asarray(values))]
            return NonFiniteOutputError(
                f"Output {name!r} is NaN or infinite in {len(rows)} of {len(array)} rows. Look for extreme "
                "values in the input; if there are none, the checkpoint is at fault.",
                errors=[{"row": int(row)} for row in rows[:100]],
            )
    return None


def _failed(error: Exception) -> InferenceFailedError:
    logger.error("a request failed in the model: %s", describe_fault(error))
    if is_out_of_memory(error):
        return OutOfMemoryError(
            f"The model raised {_told(error)}. Send fewer or smaller rows in a request; others were not affected."
        )
    return InferenceFailedError(f"The model raised {_told(error)}. Other requests were not affected.")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a module found no memory, on a GPU or on a CPU."""
    # On a CPU torch raises a plain RuntimeError, which names its allocator.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def describe_fault(error: BaseException) -> str:
    """The error and where it was raised, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return _told(error) + place


def _told(error: BaseException) -> str:
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line[:200]}"
