"""Classes of a training script's own, that only it can import."""

from __future__ import annotations

import enum
from collections import namedtuple
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.checkpoint_corpus.nets import numbers
from torch import Tensor


class Stage(enum.Enum):
    """An enumeration."""

    WARM = "warm"
    DONE = "done"


class Level(enum.IntEnum):
    """One of numbers."""

    LOW = 1


@dataclass
class TrainConfig:
    """Fields, one of them a tensor."""

    lr: float = 0.125
    layers: list[int] = field(default_factory=lambda: [3, 4])
    weights: Tensor = field(default_factory=lambda: numbers(3))


@dataclass(slots=True, frozen=True)
class Slotted:
    """Has no `__dict__`."""

    width: int = 3
    mean: Tensor = field(default_factory=lambda: numbers(2))


Pair = namedtuple("Pair", "weights step")


class Typed(NamedTuple):
    """The other way of saying so."""

    bias: Tensor
    name: str


class Meter:
    """An average, as torchvision's and ImageNet's scripts keep it."""

    def __init__(self) -> None:
        self.total, self.count = 1.5, 2
        self.history = numbers(4)


class Settings(dict):
    """A dict with attributes, as trainers' configs are."""

    def __getattr__(self, name: str) -> object:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class Registry(list):
    """A list of its own class."""


def double(value: float) -> float:
    """Return it twice."""
    return 2 * value
