"""What the supervisor reports while it works: one step at a time, to whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

StepState = Literal["begun", "done", "failed"]


@dataclass(frozen=True)
class Step:
    """One thing that was begun, done, or could not be done."""

    name: str
    text: str
    seconds: float = 0.0
    state: StepState = "done"


Report = Callable[[Step], None]
