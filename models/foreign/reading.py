"""How the tensors of a file are to be read, as far as the reader chooses."""

from __future__ import annotations

from dataclasses import dataclass

from statehouse.models.foreign.weights import Weights


@dataclass(frozen=True)
class Reading:
    r"""What is asked of a reader.

    `rename` has rules such as `encoder\.(.*)=backbone.\1`, see renaming.py; `weights` says which are taken
    of a file that has both a model's and their moving average, None means the average. `from_key` is where in the
    file they are (`generator`, `state.model`), None where that is found. `ignore` has patterns of names that are left
    out.
    """

    rename: tuple[str, ...] = ()
    weights: Weights | None = None
    from_key: str | None = None
    ignore: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """All rules for names, in the order in which they are applied: what is left out goes first."""
        return (*(f"{pattern}=" for pattern in self.ignore), *self.rename)


AS_IT_IS = Reading()
