"""What a CheckpointKeeper remembers from one checkpoint to the next; it stands in each checkpoint itself."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from statehouse.models.errors import KeeperError
from statehouse.models.plain import plain_problems

Mode = Literal["min", "max"]


@dataclass(frozen=True)
class KeeperSettings:
    """How a keeper judges: which end of the metric is better, how many to keep, when to stop."""

    mode: Mode = "min"
    keep_best: int = 1
    patience: int | None = None
    min_delta: float = 0.0

    def is_better(self, metric: float, than: float, by: float = 0.0) -> bool:
        """Whether `metric` is better `than` another by more than `by`; NaN is never."""
        return metric < than - by if self.mode == "min" else metric > than + by


@dataclass(frozen=True)
class KeeperState:
    """`kept`: step → metric of the checkpoints that are to stay, None where none was measured.

    `reference` is the metric that the next must beat by `min_delta`, `waited` how many did not since.
    """

    mode: Mode
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    kept: Mapping[int, float | None] = field(default_factory=dict)
    best: float | None = None
    reference: float | None = None
    waited: int = 0

    @property
    def last_step(self) -> int | None:
        """Step of the newest checkpoint."""
        return max(self.kept, default=None)

    def after(self, step: int, metric: float | None, settings: KeeperSettings) -> KeeperState:
        """Return the state once step `step` is saved with `metric`."""
        kept = {**self.kept, step: metric}
        best = self.best_steps(settings, kept)[: settings.keep_best]
        state = replace(self, kept={each: kept[each] for each in sorted({*best, step})})
        return state if metric is None else state._judged(metric, settings)

    def _judged(self, metric: float, settings: KeeperSettings) -> KeeperState:
        if math.isnan(metric):
            return replace(self, waited=self.waited + 1)
        state = self
        if self.best is None or settings.is_better(metric, self.best):
            state = replace(state, best=metric)
        if self.reference is None or settings.is_better(metric, self.reference, settings.min_delta):
            return replace(state, reference=metric, waited=0)
        return replace(state, waited=self.waited + 1)

    def best_steps(self, settings: KeeperSettings, kept: Mapping[int, float | None]) -> list[int]:
        """Return the steps that have a metric, best first; of equal ones the earlier."""
        sign = 1 if settings.mode == "min" else -1
        measured = {
            step: value for step, value in kept.items() if value is not None and not math.isnan(value)
        }
        return sorted(measured, key=lambda step: (sign * measured[step], step))

    def to_plain(self) -> dict[str, Any]:
        """Return plain data, as it stands in a checkpoint."""
        kept = [[step, metric] for step, metric in self.kept.items()]
        return {name: getattr(self, name) for name in _Stored.model_fields} | {"kept": kept}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> KeeperState:
        """Read what `to_plain` returned; raises KeeperError for anything else."""
        problems = plain_problems(plain, json_only=False)
        if not problems:
            try:
                stored = _Stored.model_validate(plain)
            except ValueError as error:
                problems = [str(error)]
            else:
                return cls(**{**stored.model_dump(), "kept": dict(stored.kept)})
        raise KeeperError(f"is not what a CheckpointKeeper writes: {problems[0]}")


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    mode: Mode
    kept: list[tuple[int, float | None]]
    best: float | None
    reference: float | None
    waited: int
