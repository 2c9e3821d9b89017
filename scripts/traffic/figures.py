"""Rates, percentiles and means of what was counted in a stretch of time: the console's figures."""

from __future__ import annotations

from dataclasses import dataclass, field

from statehouse.handlers.worker.metrics import BUCKETS_SECONDS
from statehouse.scripts.traffic.version_counts import Counted, Counts
from statehouse.scripts.traffic.worker_metrics import percentile

BOUNDS = (*BUCKETS_SECONDS, float("inf"))


@dataclass(frozen=True)
class Figures:
    """Of ``seconds``, whatever length they were asked for: the divisor of every rate here."""

    seconds: float
    requests: int
    failed: int  # 5xx
    refused: int  # 4xx
    requests_per_second: float | None
    failed_per_second: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    requests_per_batch: float | None
    phase_seconds: dict[str, float] = field(default_factory=dict)  # the mean of each


def figures_of(counts: Counts, seconds: float) -> Figures:
    """Return the figures of what was counted within so many seconds."""
    statuses: dict[str, float] = {}
    for each in counts:
        if each.what in ("answered", "of_the_front"):
            statuses[str(each.of)] = statuses.get(str(each.of), 0) + counts[each]
    requests = sum(statuses.values())
    failed = sum(count for status, count in statuses.items() if status >= "500")
    refused = sum(count for status, count in statuses.items() if "400" <= status < "500")
    buckets = cumulative(counts)
    batches = counts.get(Counted("batches"), 0)
    return Figures(
        seconds=seconds,
        requests=round(requests),
        failed=round(failed),
        refused=round(refused),
        requests_per_second=requests / seconds if seconds > 0 else None,
        failed_per_second=failed / seconds if seconds > 0 else None,
        p50_seconds=percentile(buckets, 0.5),
        p95_seconds=percentile(buckets, 0.95),
        p99_seconds=percentile(buckets, 0.99),
        requests_per_batch=counts.get(Counted("batched"), 0) / batches if batches else None,
        phase_seconds={
            str(each.of): counts.get(Counted("seconds", each.of), 0) / timed
            for each, timed in counts.items()
            if each.what == "timed" and each.of != "total" and timed
        },
    )


def cumulative(counts: Counts) -> list[tuple[float, float]]:
    """Return the histogram of the time in the worker: upper bounds, and how many did not exceed each."""
    buckets, below = [], 0.0
    for bound in BOUNDS:
        below += counts.get(Counted("within", bound), 0)
        buckets.append((bound, below))
    return buckets
