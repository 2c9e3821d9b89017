import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from statehouse.scripts.reader.metrics.page import text_of
from statehouse.scripts.traffic.worker_metrics import MergedWorkerMetrics, percentile

WORKER = """
import sys
from pathlib import Path
from statehouse.handlers.worker.metrics import WorkerMetrics
from statehouse.handlers.request import Response
metrics = WorkerMetrics(Path(sys.argv[1]), name="digits", version=sys.argv[2])
for batch in ([Response(200, b"")] * 2, [Response(422, b"", problem="wrong-shape")]):
    metrics.begin(len(batch))
    with metrics.phase("inference"):
        pass
    metrics.finish(batch)
metrics.begin(5)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in ("1.0", "1.1"):
        own = tmp_path / f"digits-{version}" / f"{version}-g0"
        own.mkdir(parents=True)
        subprocess.run([sys.executable, "-c", WORKER, own, version], check=True)
    return tmp_path


def test_what_is_forgotten_is_counted_no_more_though_somebody_looks_meanwhile(folder: Path) -> None:
    metrics = MergedWorkerMetrics(folder)
    looking = threading.Event()

    def look_on() -> None:
        while not looking.is_set():
            metrics.rows_in_flight()

    with ThreadPoolExecutor(1) as pool:
        looks = pool.submit(look_on)
        metrics.forget("digits", "1.0")
        looking.set()
        looks.result()
    assert set(metrics.latencies()) == {("digits", "1.1")}
    assert not (folder / "digits-1.0").exists()


def test_counts_of_workers_that_have_ended_stay_and_their_gauges_go(folder: Path) -> None:
    text = text_of(MergedWorkerMetrics(folder).collect()).decode()
    counted = 'statehouse_requests_total{{model="digits",problem="{}",status="{}",version="{}"}} {}'
    for version in ("1.0", "1.1"):
        assert counted.format("", 200, version, "2.0") in text
        assert counted.format("wrong-shape", 422, version, "1.0") in text
    assert text.count("# TYPE statehouse_request_duration_seconds histogram") == 1
    assert MergedWorkerMetrics(folder).rows_in_flight() == 0


def test_the_files_of_dead_workers_do_not_grow_in_number(folder: Path) -> None:
    own = folder / "digits-1.0" / "1.0-g0"
    before = {file.name for file in own.glob("*.db")}
    metrics = MergedWorkerMetrics(folder)
    for times in (2, 3):
        subprocess.run([sys.executable, "-c", WORKER, own, "1.0"], check=True)
        text = text_of(metrics.collect()).decode()
        counted = 'statehouse_requests_total{{model="digits",problem="",status="200",version="1.0"}} {:.1f}'
        assert counted.format(2 * times) in text
        count = (
            'statehouse_request_duration_seconds_count{{model="digits",phase="total",version="1.0"}} {:.1f}'
        )
        assert count.format(3 * times) in text
        assert (
            'statehouse_batch_requests_bucket{le="2.0",model="digits",version="1.0"} %.1f' % (2 * times)
            in text
        )
    left = {file.name for file in own.glob("*.db")}
    assert left == {"counter_folded.db", "histogram_folded.db", "summary_folded.db"}
    assert len(before) > len(left)  # a gauge as well, for each that was alive


def test_a_worker_that_lives_is_not_folded(tmp_path: Path) -> None:
    own = tmp_path / "digits-1.0" / "1.0-g0"
    own.mkdir(parents=True)
    code = WORKER + "print('counted', flush=True)\ninput()\nmetrics.finish([Response(200, b'')] * 5)\n"
    with subprocess.Popen(
        [sys.executable, "-c", code, own, "1.0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        worker.stdout.readline()
        metrics = MergedWorkerMetrics(tmp_path)
        assert metrics.rows_in_flight() == 5
        worker.stdin.write("go\n")
        worker.stdin.flush()
        worker.wait()
    assert metrics.rows_in_flight() == 0
    assert metrics.latencies()["digits", "1.0"].requests == 8


def test_every_request_counts_in_every_phase(folder: Path) -> None:
    text = text_of(MergedWorkerMetrics(folder).collect()).decode()
    count = 'statehouse_request_duration_seconds_count{model="digits",phase="%s",version="1.0"} %s'
    assert count % ("total", "3.0") in text
    assert count % ("inference", "3.0") in text


def test_latencies_are_by_version(folder: Path) -> None:
    latency = MergedWorkerMetrics(folder).latencies()["digits", "1.1"]
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
