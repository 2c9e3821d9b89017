"""What the workers have counted so far, by version. Counts only grow: two looks tell what happened between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from scripts.metrics.workers import DURATION, REQUESTS, ROWS_IN_FLIGHT

BATCH_REQUESTS = "statehouse_batch_requests"

Json = dict[str, Any]
Key = tuple[str, str]


class Histogram:
    """Cumulative counts by upper bound, and the sum of all that was observed; of several workers, added up."""

    def __init__(self) -> None:
        self._counts: dict[float, float] = {}
        self._sum = 0.0

    def add(self, sample: Sample) -> None:
        """Take one sample, a bucket's or the sum."""
        if sample.name.endswith("_bucket"):
            bound = float(sample.labels["le"])
            self._counts[bound] = self._counts.get(bound, 0) + sample.value
        elif sample.name.endswith("_sum"):
            self._sum += sample.value

    def to_json(self) -> Json:
        """Return the bounds (null: none) with their counts, in order, and the sum."""
        bounds = sorted(self._counts)
        return {
            "bounds": [None if math.isinf(bound) else bound for bound in bounds],
            "counts": [int(self._counts[bound]) for bound in bounds],
            "sum": self._sum,
        }


class VersionCounts:
    """What was counted of one version."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.phases: dict[str, Histogram] = {}
        self.batch_requests: Histogram | None = None
        self.rows_in_flight = 0

    def add(self, metric: str, sample: Sample) -> None:
        """Take one sample of one of the workers' metrics."""
        if metric == DURATION:
            self.phases.setdefault(sample.labels["phase"], Histogram()).add(sample)
        elif metric == REQUESTS and sample.name.endswith("_total"):
            status = sample.labels["status"]
            self.requests[status] = self.requests.get(status, 0) + int(sample.value)
        elif metric == ROWS_IN_FLIGHT:
            self.rows_in_flight += int(sample.value)
        elif metric == BATCH_REQUESTS:
            self.batch_requests = self.batch_requests or Histogram()
            self.batch_requests.add(sample)

    def to_json(self) -> Json:
        """Return requests by status, seconds by phase, requests by batch where they are measured."""
        return {
            "requests": self.requests,
            "seconds": {phase: histogram.to_json() for phase, histogram in self.phases.items()},
            "batch_requests": self.batch_requests.to_json() if self.batch_requests else None,
            "rows_in_flight": self.rows_in_flight,
        }


def counts_by_version(metrics: Iterable[Metric]) -> dict[Key, VersionCounts]:
    """Return what was counted of each version, by name and version."""
    counts: dict[Key, VersionCounts] = {}
    for metric in metrics:
        for sample in metric.samples:
            if "version" in sample.labels:
                key = (sample.labels["model"], sample.labels["version"])
                counts.setdefault(key, VersionCounts()).add(metric.name, sample)
    return counts
