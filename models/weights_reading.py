"""A safe replacement for `torch.load` where only the weights are wanted: any file is read, and nothing in it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from statehouse.models.foreign.forms import take_apart
from statehouse.models.foreign.reading import Reading
from statehouse.models.foreign.weights import Weights
from statehouse.models.header import refuse_problems
from statehouse.models.storage.shards import read_files


def read_state_dict(
    path: str | Path,
    *,
    map_location: str | torch.device = "cpu",
    from_key: str | None = None,
    weights: Weights | None = None,
    rename: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Return the weights of the file or folder at `path`, by names without wrapper prefixes, on `map_location`.

        model.load_state_dict(read_state_dict("somebody-elses.pth"))

    A pickled module gives its state_dict. `from_key` is where in the file the weights are (`generator`,
    `state.model`), where there are several; `weights` is "model" or "ema", of a file with both; `rename` and `ignore`
    are rules and patterns for names, as `load_checkpoint` takes them. On a CPU the tensors are the mapped file: they
    cost no memory until they are read, and are copied when they are written to.

    Raises:
        CheckpointNotFoundError: there is no file.
        CheckpointUnreadableError: it is empty, cut short, damaged, or no checkpoint.
        CheckpointContentError: it has no state_dict, or several and none was chosen; each is listed.
    """
    found = read_files(Path(path), torch.device(map_location))
    parts = take_apart(found.path, found.held, Reading(tuple(rename), weights, from_key, tuple(ignore)))
    refuse_problems(found.path, list(parts.problems))
    return parts.state_dict
