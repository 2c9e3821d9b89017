"""What a worker does before it can load anything, and how its failure reaches the supervisor."""

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from statehouse.handlers.errors import DeviceError
from statehouse.models.errors import StatehouseError


def quiet_worker() -> None:
    """Switch off what costs TorchServe's worker a line per request."""
    # Several lines per request would go over stdout through a regular expression in Java into a log.
    logging.getLogger().setLevel(logging.WARNING)


def serving_device(gpu_id: int | None) -> torch.device:
    """The GPU that TorchServe assigned, else the CPU; raises DeviceError where that GPU is not usable."""
    if gpu_id is None:
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if gpu_id >= count:
        raise DeviceError(
            f"TorchServe assigned GPU {gpu_id}, and PyTorch {torch.__version__} sees {count}; "
            "set number_of_gpu in config.properties, or install PyTorch for this GPU"
        )
    return torch.device("cuda", gpu_id)


def socket_name() -> str:
    """Where this worker listens: TorchServe starts one that ended again with the same name."""
    arguments = sys.argv
    return arguments[arguments.index("--sock-name") + 1] if "--sock-name" in arguments else "worker"


@contextmanager
def failure_told(failure_file: Path) -> Iterator[None]:
    """Write why the worker could not start to `failure_file`, then raise RuntimeError.

    TorchServe answers other exceptions by dropping its connection, and this one with "Unknown exception".
    """
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        _write_failure(failure_file, error)
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _write_failure(path: Path, error: BaseException) -> None:
    expected = isinstance(error, StatehouseError)
    reason = {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": None if expected else "".join(traceback.format_exception(error)),
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(reason), encoding="utf-8")
    beside.replace(path)
