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


# Requests per second at so many connections.
_THROUGHPUT = {
    "torchserve": {64: 20.0},
    "litserve": {64: 20.0},
    "bentoml": {64: 10.0},
    "fastapi": {1: 1.1, 64: 3.5},
    "triton": {1: 1.5, 8: 1.4, 64: 2.0},
}


def goals_for(comparison: Comparison) -> list[Goal]:
    """Return what is asked of one cell; nothing of most."""
    if comparison.workload != "small":
        return []
    count, peer = comparison.connections, comparison.peer
    goals = []
    if comparison.form == "json" or peer == "triton":
        goals += [Goal(THROUGHPUT, bound) for at, bound in _THROUGHPUT.get(peer, {}).items() if at == count]
    if peer == "triton":
        goals.append(Goal(P50, 1.0))
        goals += [Goal(P99, 1.2)] if count in (8, 64) else []
    return goals
