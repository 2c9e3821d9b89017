"""What workers have counted, as the console reads it: real workers' files, and how they add up."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.core import HistogramMetricFamily

from scripts.metrics.workers import WorkerMetrics, percentile
from scripts.web.live import BATCH_REQUESTS, counts_by_version

REQUESTS = 5
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The metrics of a version in two lanes, each a worker that answered REQUESTS requests, one of them badly."""
    folder = tmp_path_factory.mktemp("metrics")
    for lane in ("1.0-b1", "1.0-b8"):
        own = folder / "digits-1.0" / lane
        own.mkdir(parents=True)
        worker = [sys.executable, Path(__file__).with_name("worker.py"), own, str(REQUESTS)]
        subprocess.run(worker, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    return folder


def test_lanes_add_up(folder: Path) -> None:
    metrics = WorkerMetrics(folder)
    [(key, counts)] = counts_by_version(metrics.collect()).items()
    told = counts.to_json()
    assert key == ("digits", "1.0")
    assert {status: count for status, count in told["requests"].items() if count} == {
        "200": 2 * (REQUESTS - 1),
        "422": 2,
    }
    assert told["seconds"]["total"]["counts"][-1] == 2 * REQUESTS
    assert told["rows_in_flight"] == 0


def test_bounds_are_in_order_and_the_last_is_none(folder: Path) -> None:
    [counts] = counts_by_version(WorkerMetrics(folder).collect()).values()
    total = counts.to_json()["seconds"]["total"]
    *bounds, last = total["bounds"]
    assert bounds == sorted(bounds)
    assert last is None
    assert total["counts"] == sorted(total["counts"])
    assert total["sum"] > 0


def test_a_histogram_s_percentiles_are_those_of_status(folder: Path) -> None:
    [counts] = counts_by_version(WorkerMetrics(folder).collect()).values()
    total = counts.to_json()["seconds"]["total"]
    bounds = [float("inf") if bound is None else bound for bound in total["bounds"]]
    [latency] = WorkerMetrics(folder).latencies().values()
    assert percentile(zip(bounds, total["counts"], strict=True), 0.5) == latency.p50_seconds


def test_batches_are_told_where_they_are_measured() -> None:
    labels = ["model", "version"]
    family = HistogramMetricFamily(BATCH_REQUESTS, "Requests that were answered together.", labels=labels)
    family.add_metric(["digits", "1.0"], [("1", 3), ("2", 5), ("+Inf", 5)], 7)
    [counts] = counts_by_version([family]).values()
    assert counts.to_json()["batch_requests"] == {"bounds": [1, 2, None], "counts": [3, 5, 5], "sum": 7}
    assert counts_by_version([]) == {}
