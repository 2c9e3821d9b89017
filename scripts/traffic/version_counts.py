"""What has been counted of each version, as plain numbers that can be added and subtracted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from statehouse.scripts.traffic.worker_metrics import DURATION, REQUESTS, ROWS_IN_FLIGHT

BATCH_REQUESTS = "statehouse_batch_requests"
Key = tuple[str, str]


class Counted(NamedTuple):
    """What one number counts."""

    what: Literal["answered", "of_the_front", "within", "seconds", "timed", "batches", "batched"]
    of: str | float = ""  # a status, the upper bound of a bucket, or a phase


Counts = dict[Counted, float]


class VersionCounts:
    """What the workers of one version have counted since it was loaded, and the rows that they hold now."""

    def __init__(self) -> None:
        self.counts: Counts = defaultdict(float)
        self.rows_in_flight = 0
        self._cumulative: dict[float, float] = {}

    def add(self, metric: str, sample: Sample) -> None:
        """Take one sample of one of the workers' metrics."""
        _, _, suffix = sample.name.rpartition("_")
        if metric == DURATION:
            self._add_duration(suffix, sample)
        elif metric == REQUESTS and suffix == "total":
            self.counts[Counted("answered", sample.labels["status"])] += sample.value
        elif metric == BATCH_REQUESTS and suffix == "count":
            self.counts[Counted("batches")] += sample.value
        elif metric == BATCH_REQUESTS and suffix == "sum":
            self.counts[Counted("batched")] += sample.value
        elif metric == ROWS_IN_FLIGHT:
            self.rows_in_flight += int(sample.value)

    def _add_duration(self, suffix: str, sample: Sample) -> None:
        phase = sample.labels["phase"]
        if suffix == "sum":
            self.counts[Counted("seconds", phase)] += sample.value
        elif suffix == "count":
            self.counts[Counted("timed", phase)] += sample.value
        elif phase == "total":
            bound = float(sample.labels["le"])
            self._cumulative[bound] = self._cumulative.get(bound, 0) + sample.value

    def close(self) -> None:
        """Make each bucket's own count of the cumulative ones."""
        below = 0.0
        for bound in sorted(self._cumulative):
            self.counts[Counted("within", bound)] = self._cumulative[bound] - below
            below = self._cumulative[bound]


def counts_by_version(metrics: Iterable[Metric]) -> dict[Key, VersionCounts]:
    """Return what was counted of each version, by name and version."""
    versions: dict[Key, VersionCounts] = defaultdict(VersionCounts)
    for metric in metrics:
        for sample in metric.samples:
            if "version" in sample.labels:
                versions[sample.labels["model"], sample.labels["version"]].add(metric.name, sample)
    for counted in versions.values():
        counted.close()
    return dict(versions)


def growth(before: Mapping[Counted, float], now: Counts) -> Counts:
    """Return by how much each number has grown; one that has shrunk began anew, from zero."""
    grown = {}
    for each, value in now.items():
        earlier = before.get(each, 0)
        if value != earlier:
            grown[each] = value - earlier if value > earlier else value
    return {each: value for each, value in grown.items() if value}


def total_of(several: Iterable[Counts]) -> Counts:
    """Return the sum of several counts."""
    total: Counts = defaultdict(float)
    for counts in several:
        for each, value in counts.items():
            total[each] += value
    return total
