"""Whole numbers that a network looks up in a table: how many there are, and which a client may not send."""

import re
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from statehouse.handlers.errors import InvalidInputError, RequestError, RowsRefusedError

SHOWN = 5
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
# As torch says it of embeddings, their bags, an index into a tensor, `take`, and one_hot.
_NO_ENTRY = re.compile("out of range|out of bounds|not in the valid range|Class values must be")


class _LacksError(Exception):
    """A row's own numbers have reached a table that lacks one of them."""


def table_size(module: nn.Module, row_shape: tuple[int, ...], device: torch.device) -> int | None:
    """How many entries the embedding has that a row's own numbers are looked up in; None where there is none.

    A network may embed positions and segments as well, or hash, clip and mask its numbers first. So each size that is
    found is tried with a number that such a table lacks: it must reach the embedding as it is. All of that is done on
    the CPU, because on a GPU a look-up that fails ends the process.
    """
    probe = _Probe(module, row_shape, device)
    sizes = probe.sizes_reached(scale=1)
    return next((size for size in sorted(sizes) if size in probe.sizes_reached(scale=size)), None)


class _Probe:
    def __init__(self, module: nn.Module, row_shape: tuple[int, ...], device: torch.device) -> None:
        self._module = module
        self._numbers = torch.ones((1, *row_shape), dtype=torch.int64)
        self._numbers.view(-1)[1::3] = 0  # neither what counts up nor what is all alike
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        self._on_cpu = {} if device.type == "cpu" else {name: each.cpu() for name, each in tensors.items()}

    def sizes_reached(self, scale: int) -> set[int]:
        """Return the sizes of the embeddings that the probe's numbers, times `scale`, reach as they are.

        None is looked up in a table that lacks it.
        """
        given, sizes = self._numbers * scale, set[int]()

        def look(embedding: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            ids = next(iter((*arguments, *named.values())), None)
            if isinstance(ids, Tensor) and torch.equal(ids.reshape(-1).long(), given.reshape(-1)):
                assert isinstance(embedding, _EMBEDDINGS)  # noqa: S101 - no other has this hook
                size = embedding.num_embeddings
                sizes.add(size)
                if scale >= size:
                    raise _LacksError

        embeddings = [each for each in self._module.modules() if isinstance(each, _EMBEDDINGS)]
        hooks = [each.register_forward_pre_hook(look, with_kwargs=True) for each in embeddings]
        try:
            with torch.inference_mode():
                functional_call(self._module, self._on_cpu, (given,))
        except _LacksError:
            return sizes
        except Exception:  # noqa: BLE001 - the warm-up says what is wrong with the module
            return set()
        finally:
            for hook in hooks:
                hook.remove()
        return sizes


def refuse_beyond(rows: NDArray[Any], size: int | None) -> None:
    """Refuse rows (N, …) with numbers that a table of `size` entries does not have; on a GPU they would end the worker.

    Raises InvalidInputError for one row, RowsRefusedError for several.
    """
    if size is None or (rows.min() >= 0 and rows.max() < size):
        return
    problems = {
        number: problem for number, row in enumerate(rows) if (problem := _problem_of(row, size)) is not None
    }
    if len(rows) == 1:
        raise problems[0]
    raise RowsRefusedError(problems, len(rows))


def _problem_of(row: NDArray[Any], size: int) -> RequestError | None:
    wrong = np.unique(row[(row < 0) | (row >= size)])
    if not len(wrong):
        return None
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return InvalidInputError(
        f"The input has {', '.join(map(str, wrong[:SHOWN]))}{more}; expected whole numbers from 0 to {size - 1}, "
        "which this model has entries for."
    )


def is_no_entry(error: Exception) -> bool:
    """Whether a module raised `error` because a whole number was not in a table of another kind."""
    return isinstance(error, IndexError | RuntimeError) and _NO_ENTRY.search(str(error)) is not None
