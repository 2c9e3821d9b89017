"""The workers' own metrics, gathered from the files that prometheus-client keeps in each version's folder."""

from __future__ import annotations

import math
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from statehouse.scripts.traffic.worker_files import fold_dead

ATTEMPTS, PAUSE_SECONDS = 20, 0.01
DURATION = "statehouse_request_duration_seconds"
REQUESTS = "statehouse_requests"
ROWS_IN_FLIGHT = "statehouse_rows_in_flight"


@dataclass(frozen=True)
class Latency:
    """What one version has answered since it was loaded; percentiles are interpolated within a bucket."""

    requests: int
    failed: int
    p50_seconds: float | None
    p99_seconds: float | None


class MergedWorkerMetrics:
    """Every worker's metrics, dead workers' counts included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        """Merge the files of all versions; where one is retired meanwhile, or a file just made, look again."""
        return self._merged("*/*")

    def _merged(self, version_folder: str) -> Iterable[Metric]:
        pattern = f"{version_folder}/*.db"
        merge = cast("Callable[[list[str]], Iterable[Metric]]", MultiProcessCollector.merge)
        for attempt in range(ATTEMPTS):
            try:
                with self._lock:
                    fold_dead(self._folder.glob(pattern))
                    return list(merge([str(file) for file in sorted(self._folder.glob(pattern))]))
            except (FileNotFoundError, struct.error):
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(PAUSE_SECONDS)
        return []

    def forget(self, name: str, version: str) -> None:
        """Drop all that a version's workers have counted; nobody counts for it any more."""
        with self._lock:  # who folds meanwhile would leave it there again
            shutil.rmtree(self._folder / f"{name}-{version}", ignore_errors=True)

    def rows_in_flight(self, version_folder: str = "*/*") -> int:
        """Return how many rows are inside the workers now, of one loaded version or of all."""
        samples = [s for m in self._merged(version_folder) if m.name == ROWS_IN_FLIGHT for s in m.samples]
        return int(sum(sample.value for sample in samples))

    def latencies(self) -> dict[tuple[str, str], Latency]:
        """Return each version's counts and percentiles, by name and version."""
        buckets: dict[tuple[str, str], list[tuple[float, float]]] = {}
        requests: dict[tuple[str, str], list[int]] = {}
        for metric in self.collect():
            for sample in metric.samples:
                key = (sample.labels.get("model", ""), sample.labels.get("version", ""))
                if sample.name == f"{DURATION}_bucket" and sample.labels["phase"] == "total":
                    buckets.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
                elif sample.name == f"{REQUESTS}_total":
                    counts = requests.setdefault(key, [0, 0])
                    counts[0] += int(sample.value)
                    counts[1] += int(sample.value) if sample.labels["status"] >= "500" else 0
        return {
            key: Latency(
                requests=counts[0],
                failed=counts[1],
                p50_seconds=percentile(buckets.get(key, []), 0.50),
                p99_seconds=percentile(buckets.get(key, []), 0.99),
            )
            for key, counts in requests.items()
        }


def percentile(buckets: Iterable[tuple[float, float]], share: float) -> float | None:
    """Return the value below which ``share`` of the observations lie, as Prometheus' histogram_quantile does.

    ``buckets`` are (upper bound, cumulative count). None when there are no observations.
    """
    ordered = sorted(buckets)
    if not ordered or ordered[-1][1] == 0:
        return None
    rank = share * ordered[-1][1]
    lower_bound = lower_count = 0.0
    for upper_bound, count in ordered:
        if count >= rank:
            if math.isinf(upper_bound):
                return lower_bound
            within = (rank - lower_count) / (count - lower_count)
            return lower_bound + (upper_bound - lower_bound) * within
        lower_bound, lower_count = upper_bound, count
    return lower_bound
