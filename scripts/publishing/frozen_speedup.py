"""How much faster a module is when it is frozen: measured once, when its version is published."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.bodies.payload import decode

BATCH_SIZES = (1, 4)  # of such a version, alone and busy
ROUNDS = 7
MOST_ROW_SECONDS = 0.25  # some ninety rows are computed: what takes longer is not worth the wait


def frozen_speedup(handler: CheckpointHandler[Any]) -> float | None:
    """Times faster on one thread of this CPU, of the batch sizes the least; None: a row takes too long to measure.

    Raises OptimizationError when it cannot be frozen, and whatever a module of anybody's raises meanwhile.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one = _inputs(handler, 1)
        with torch.inference_mode():
            handler.call_module(one)
            if _seconds(lambda: handler.call_module(one)) > MOST_ROW_SECONDS:
                return None
        frozen = handler.optimized(["freeze"])
        return min(_times_faster(handler, frozen, size) for size in BATCH_SIZES)
    finally:
        torch.set_num_threads(threads)


def _inputs(handler: CheckpointHandler[Any], count: int) -> Any:  # noqa: ANN401 - as `preprocess` gives it
    rows = decode(handler.make_example(), handler).rows
    return handler.preprocess(np.repeat(rows, count, axis=0))


def _times_faster(handler: CheckpointHandler[Any], frozen: torch.nn.Module, batch_size: int) -> float:
    inputs = _inputs(handler, batch_size)
    ratios: list[float] = []
    with torch.inference_mode():
        for module in (handler.module, frozen):
            module(inputs)
        for _ in range(ROUNDS):
            plain = _seconds(lambda: handler.module(inputs))
            ratios.append(plain / _seconds(lambda: frozen(inputs)))
    return median(ratios)


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
