"""What workers have counted, version by version: real workers' files, and how they add up."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.core import HistogramMetricFamily

from statehouse.scripts.traffic.figures import cumulative, figures_of
from statehouse.scripts.traffic.version_counts import (
    BATCH_REQUESTS,
    Counted,
    Counts,
    counts_by_version,
    growth,
    total_of,
)
from statehouse.scripts.traffic.worker_metrics import MergedWorkerMetrics

REQUESTS = 5
ROOT = Path(__file__).parents[3]
OK, BAD = Counted("answered", "200"), Counted("answered", "422")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The metrics of a version that was registered twice, each time with a worker that answered REQUESTS, one badly."""
    folder = tmp_path_factory.mktemp("metrics")
    for registration in ("1.0-g0", "1.0-g1"):
        own = folder / "digits-1.0" / registration
        own.mkdir(parents=True)
        worker = [sys.executable, Path(__file__).with_name("worker.py"), own, str(REQUESTS)]
        subprocess.run(worker, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT / "src")})
    return folder


def counts_in(folder: Path) -> Counts:
    [(key, counted)] = counts_by_version(MergedWorkerMetrics(folder).collect()).items()
    assert (key, counted.rows_in_flight) == (("digits", "1.0"), 0)
    return counted.counts


def test_registrations_add_up(folder: Path) -> None:
    counts = counts_in(folder)
    assert {each: count for each, count in counts.items() if each.what == "answered" and count} == {
        OK: 2 * (REQUESTS - 1),
        BAD: 2,
    }
    assert counts["timed", "total"] == 2 * REQUESTS
    assert counts["batched", ""] / counts["batches", ""] == REQUESTS
    assert sum(count for each, count in counts.items() if each.what == "within") == 2 * REQUESTS
    phases = sum(counts["seconds", phase] for phase in ("decode", "preprocess", "inference", "postprocess"))
    assert phases == pytest.approx(counts["seconds", "total"])


def test_their_figures_are_those_of_status(folder: Path) -> None:
    counts = counts_in(folder)
    assert [count for _, count in cumulative(counts)][-1] == 2 * REQUESTS
    figures = figures_of(counts, 4.0)
    [latency] = MergedWorkerMetrics(folder).latencies().values()
    assert (figures.p50_seconds, figures.p99_seconds) == (latency.p50_seconds, latency.p99_seconds)
    assert (figures.requests, figures.failed, figures.refused) == (latency.requests, latency.failed, 2)


def test_batches_are_told_where_they_are_measured() -> None:
    labels = ["model", "version"]
    family = HistogramMetricFamily(BATCH_REQUESTS, "Requests that were answered together.", labels=labels)
    family.add_metric(["digits", "1.0"], [("1", 3), ("2", 5), ("+Inf", 5)], 7)
    [counted] = counts_by_version([family]).values()
    assert counted.counts == {Counted("batches"): 5, Counted("batched"): 7}
    assert counts_by_version([]) == {}


def test_a_count_that_shrank_began_anew() -> None:
    assert growth({OK: 5, BAD: 2}, {OK: 7, BAD: 2}) == {OK: 2}
    assert growth({OK: 5, BAD: 2}, {OK: 3, BAD: 2}) == {OK: 3}
    assert growth({}, {OK: 3, BAD: 0}) == {OK: 3}


def test_several_counts_are_one() -> None:
    assert total_of([{OK: 1, BAD: 1}, {}, {OK: 2}]) == {OK: 3, BAD: 1}
