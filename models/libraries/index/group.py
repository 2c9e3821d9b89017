"""Architectures that no names and no shapes tell apart, and how well a file's tensors fit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMM = "timm:"


@dataclass(frozen=True)
class Difference:
    """One thing in which architectures of a group differ: `values` has who has what."""

    what: str  # "eps of BatchNormAct2d"
    values: Mapping[str, tuple[str, ...]]  # "1e-05": architectures

    def __str__(self) -> str:
        told = (f"{value} in {listed(names)}" for value, names in self.values.items())
        return f"{self.what}: {'; '.join(told)}"


@dataclass(frozen=True)
class Group:
    """Architectures that are equal in names and shapes; only the user knows which of them was trained.

    `score` is 1.0 where every tensor is there in its shape. `num_classes` and `in_chans` are told by shapes, and None
    where these are as the architectures have them.
    """

    architectures: tuple[str, ...]
    score: float
    fitting: int  # tensors whose name and shape are the architectures', those of another head or first layer included
    of: int  # all names, the file's and the architectures'
    num_classes: int | None = None
    in_chans: int | None = None
    task: str | None = None  # what its library builds it for
    prefix: str = ""  # what the names were compared without
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether nothing is missing, too much, or of a shape that neither classes nor channels explain."""
        return not (self.missing or self.unexpected or self.reshaped)

    @property
    def preferred(self) -> str:
        """The architecture that a command is shown with: the first that can have the channels."""
        takes = [name for name in self.architectures if self.in_chans is None or name.startswith(TIMM)]
        return (takes or self.architectures)[0]

    @property
    def config(self) -> dict[str, Any]:
        """Return the config that gives the module the file's shapes."""
        told = {"num_classes": self.num_classes, "in_chans": self.in_chans}
        return {name: value for name, value in told.items() if value is not None}


def listed(names: tuple[str, ...], most: int = 4) -> str:
    """Return some names, and how many more there are."""
    rest = len(names) - most
    shown = ", ".join(names[:most])
    return f"{shown} and {rest} more" if rest > 0 else shown
