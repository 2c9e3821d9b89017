"""How much faster a module is when it is frozen: measured once, when its version is published."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from handlers.base import CheckpointHandler
from handlers.errors import OptimizationError
from handlers.payload import decode

BATCH_SIZES = (1, 4)  # of the lanes that such a version gets
ROUNDS = 7
MOST_SECONDS = 3.0  # for each batch size; two rounds are made whatever they take


def frozen_speedup(handler: CheckpointHandler[Any]) -> float:
    """Times faster on one thread of this CPU, of the batch sizes the least; 0: it cannot be frozen."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        frozen = handler.optimized(["freeze"])
        return min(_times_faster(handler, frozen, size) for size in BATCH_SIZES)
    except OptimizationError:
        return 0.0
    finally:
        torch.set_num_threads(threads)


def _times_faster(handler: CheckpointHandler[Any], frozen: torch.nn.Module, batch_size: int) -> float:
    rows = decode(handler.make_example(), handler).rows
    inputs = handler.preprocess(np.repeat(rows, batch_size, axis=0))
    plain: list[float] = []
    faster: list[float] = []
    with torch.inference_mode():
        for module in (handler.module, frozen):
            module(inputs)
        began = time.perf_counter()
        while len(plain) < ROUNDS and (len(plain) < 2 or time.perf_counter() - began < MOST_SECONDS):
            plain.append(_seconds(lambda: handler.module(inputs)))
            faster.append(_seconds(lambda: frozen(inputs)))
    return median(one / other for one, other in zip(plain, faster, strict=True))


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
