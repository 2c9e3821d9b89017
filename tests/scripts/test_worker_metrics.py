import subprocess
import sys
from pathlib import Path

import pytest

from scripts.worker_metrics import WorkerMetrics, percentile

WORKER = """
import sys
from pathlib import Path
from handlers.metrics import WorkerMetrics
metrics = WorkerMetrics(Path(sys.argv[1]), name="digits", version=sys.argv[2])
for statuses in ([200, 200], [422]):
    metrics.begin(len(statuses))
    with metrics.phase("inference"):
        pass
    metrics.finish(statuses)
metrics.begin(5)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in ("1.0", "1.1"):
        lane = tmp_path / f"digits-{version}" / f"{version}-b8"
        lane.mkdir(parents=True)
        subprocess.run([sys.executable, "-c", WORKER, lane, version], check=True)
    return tmp_path


def test_counts_of_workers_that_have_ended_stay_and_their_gauges_go(folder: Path) -> None:
    text = WorkerMetrics(folder).render().decode()
    for version in ("1.0", "1.1"):
        assert f'statehouse_requests_total{{model="digits",status="200",version="{version}"}} 2.0' in text
        assert f'statehouse_requests_total{{model="digits",status="422",version="{version}"}} 1.0' in text
    assert text.count("# TYPE statehouse_request_duration_seconds histogram") == 1
    assert WorkerMetrics(folder).rows_in_flight() == 0


def test_total_is_per_request_and_phases_per_batch(folder: Path) -> None:
    text = WorkerMetrics(folder).render().decode()
    count = 'statehouse_request_duration_seconds_count{model="digits",phase="%s",version="1.0"} %s'
    assert count % ("total", "3.0") in text
    assert count % ("inference", "2.0") in text


def test_latencies_are_by_version(folder: Path) -> None:
    latency = WorkerMetrics(folder).latencies()["digits", "1.1"]
    assert (latency.requests, latency.failed) == (3, 0)
    assert latency.p50_seconds is not None
    assert latency.p99_seconds is not None
    assert 0 < latency.p50_seconds <= latency.p99_seconds


INFINITY = float("inf")


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        ([], 0.5, None),
        ([(1.0, 0.0), (INFINITY, 0.0)], 0.5, None),
        ([(1.0, 10.0), (INFINITY, 10.0)], 0.5, 0.5),
        ([(1.0, 5.0), (2.0, 10.0), (INFINITY, 10.0)], 0.75, 1.5),
        ([(1.0, 0.0), (INFINITY, 4.0)], 0.99, 1.0),
    ],
)
def test_percentiles_are_prometheus_own(
    buckets: list[tuple[float, float]], share: float, expected: float | None
) -> None:
    assert percentile(buckets, share) == expected
