"""The random generators that training draws from: torch's, each GPU's, NumPy's and Python's."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy
import torch

from statehouse.models.errors import TrainingStateError


def capture_rng_state() -> dict[str, Any]:
    """Return the state of every random generator that training draws from, as tensors and plain data."""
    name, keys, position, has_gauss, gauss = numpy.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [str(name), numpy.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }


def restore_rng_state(state: Mapping[str, Any]) -> None:
    """Put every random generator where `capture_rng_state` found it.

    Raises:
        TrainingStateError: the state is not what `capture_rng_state` returns; no generator is changed then.
    """
    before = capture_rng_state()
    try:
        _restore(state)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        _restore(before)
        raise TrainingStateError(
            f"rng_state is not what save_checkpoint writes ({type(error).__name__}: {error}); "
            "restore with rng=False to go on from other random numbers"
        ) from error


def _restore(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"].cpu())
    for index, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(device_state.cpu(), index)
    name, keys, *rest = state["numpy"]
    numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), *rest))
    random.setstate(_as_tuples(state["python"]))


def _as_tuples(value: Any) -> Any:  # noqa: ANN401 - whatever a file holds
    """Return Python's own state with its lists as the tuples that it insists on."""
    return tuple(_as_tuples(each) for each in value) if isinstance(value, list | tuple) else value
