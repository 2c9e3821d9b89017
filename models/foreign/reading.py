"""How the tensors of a file are to be read, as far as the reader chooses."""

from __future__ import annotations

from dataclasses import dataclass

from statehouse.models.foreign.weights import Weights


@dataclass(frozen=True)
class Reading:
    r"""What is asked of a reader.

    `rename` has rules such as `encoder\.(.*)=backbone.\1`, see renaming.py; `weights` says which are taken
    of a file that has both a model's and their moving average, None means the average.
    """

    rename: tuple[str, ...] = ()
    weights: Weights | None = None


AS_IT_IS = Reading()
