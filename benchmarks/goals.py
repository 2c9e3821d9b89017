"""What is to be reached, as ratios of ours to a peer's."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.pairs import Comparison

THROUGHPUT, P50, P99 = "requests_per_second", "p50_seconds", "p99_seconds"


@dataclass(frozen=True)
class Goal:
    """``bound``: at least for throughput, at most for a latency."""

    figure: str
    bound: float

    def met(self, ratio: float) -> bool:
        """Whether a ratio reaches it."""
        return ratio >= self.bound if self.figure == THROUGHPUT else ratio <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.figure == THROUGHPUT else '≤'} {self.bound:g}"


_AT_64 = {"torchserve": 10.0, "litserve": 10.0, "bentoml": 10.0, "fastapi": 3.5, "triton": 1.2}


def goals_for(comparison: Comparison) -> list[Goal]:
    """Return what is asked of one cell; nothing of most."""
    if comparison.workload != "small":
        return []
    count, peer = comparison.connections, comparison.peer
    goals = []
    if count == 64 and peer in _AT_64 and (comparison.form == "json" or peer == "triton"):
        goals.append(Goal(THROUGHPUT, _AT_64[peer]))
    if peer == "triton":
        goals += [Goal(THROUGHPUT, 1.0)] if count == 8 else []
        goals += [Goal(P50, 1.0)] if count == 1 else []
        goals += [Goal(P99, 1.0)] if count in (1, 8, 64) else []
    return goals
