"""A load before, during and after a command: what each version answered, and what that cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from statehouse.scripts.load_test.histogram import Latency, latency_of
from statehouse.scripts.load_test.records import Mask, Records

PHASES = ("before", "during", "after")


@dataclass(frozen=True)
class Phase:
    """What was due in one phase and was answered by one version; ``version`` is `ALL` for everything.

    ``failed``: answers that are no 2xx and, of everything, requests without an answer.
    """

    name: str
    version: str | None
    requests: int
    failed: int
    latency: Latency

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "latency": self.latency.to_plain()}


ALL = "all"


def phases_of(records: Records, begin_seconds: float, end_seconds: float) -> list[Phase]:
    """Return each phase, each version that answered in it and then everything; requests count when they are due."""
    bounds = (-math.inf, begin_seconds, end_seconds, math.inf)
    found = []
    for name, start, end in zip(PHASES, bounds, bounds[1:], strict=False):
        due = (records.due >= start) & (records.due < end)
        by_version = [
            _phase(records, name, version, mask)
            for version in records.versions()
            if (mask := due & records.of_version(version)).any()
        ]
        found += [*by_version, _phase(records, name, ALL, due)]
    return found


def _phase(records: Records, name: str, version: str | None, mask: Mask) -> Phase:
    requests = int(mask.sum())
    good = int((mask & records.good).sum())
    return Phase(
        name, version, requests, requests - good, latency_of(records.seconds[mask & records.answered])
    )
