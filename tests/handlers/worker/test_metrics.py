import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from statehouse.handlers.pipeline.observer import PHASES
from statehouse.handlers.worker.metrics import problem_kinds
from statehouse.models import TensorTask

ROOT = Path(__file__).parents[3]

# prometheus_client decides once per process where its numbers go, so a worker gets a process of its own.
WORKER = """
import json, os, signal, sys
sys.path.insert(0, "tests/handlers")
from ts.context import Context, RequestProcessor
from statehouse.handlers.tensor import TensorHandler

handler = TensorHandler()
handler.initialize(Context("model", sys.argv[1], None, 8, None, "0.12.0"))
for batch in json.loads(sys.argv[2]):
    context = Context("model", sys.argv[1], None, 8, None, "0.12.0")
    context.request_processor = [RequestProcessor({}) for _ in batch]
    handler.handle([{"body": bytearray(body.encode())} for body in batch], context)
if sys.argv[3]:
    os.kill(os.getpid(), signal.SIGKILL)
"""

READER = """
import json, sys
from prometheus_client import CollectorRegistry, multiprocess
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry, path=sys.argv[1])
print(json.dumps([
    [sample.name, sample.labels, sample.value] for metric in registry.collect() for sample in metric.samples
]))
"""


@pytest.fixture
def measured(make_version):
    """Samples, by name and labels, after a worker has answered some batches."""

    def measure(*batches, killed=False):
        private = make_version(
            "simple_net", {"input_size": 4, "hidden_size": 5, "num_classes": 3}, TensorTask()
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
        worker = (WORKER, str(private), json.dumps(batches), "killed" * killed)
        for code, *arguments in (worker, (READER, str(private))):
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                env=environment,
                cwd=ROOT,
                check=not (killed and code is WORKER),
                capture_output=True,
                text=True,
            )
        return {(name, *sorted(labels.items())): value for name, labels, value in json.loads(done.stdout)}

    return measure


def count(samples, phase):
    labels = sorted({"model": "model", "version": "1.0", "phase": phase}.items())
    return samples[("statehouse_request_duration_seconds_count", *labels)]


def answered(samples, status, problem=""):
    labels = sorted({"model": "model", "version": "1.0", "status": status, "problem": problem}.items())
    return samples[("statehouse_requests_total", *labels)]


def plain(samples, name):
    return samples[(name, ("model", "model"), ("version", "1.0"))]


def test_every_request_is_counted_with_what_its_batch_took(measured):
    good, bad = '{"inputs": [1, 2, 3, 4]}', "{"
    samples = measured([good, good, bad], [good], [bad])
    assert (answered(samples, "200"), answered(samples, "400", "broken-json")) == (3, 2)
    assert count(samples, "total") == 5
    assert (count(samples, "decode"), count(samples, "postprocess")) == (5, 5)
    assert (count(samples, "preprocess"), count(samples, "inference")) == (4, 4)
    assert plain(samples, "statehouse_rows_total") == 3
    assert plain(samples, "statehouse_batch_requests_count") == 3
    assert plain(samples, "statehouse_batch_requests_sum") == 5
    buckets = {dict(labels)["le"] for name, *labels in samples if name.endswith("_bucket")}
    assert {"0.0001", "60.0", "+Inf"} <= buckets


def test_the_phases_add_up_to_the_total(measured):
    """Each ends where the next begins, whatever the machine does meanwhile."""
    good = '{"inputs": [1, 2, 3, 4]}'
    samples = measured(*[[good] * 7 + ["{"]] * 40, *[[good]] * 40)
    sums = {
        dict(labels)["phase"]: value
        for (name, *labels), value in samples.items()
        if name == "statehouse_request_duration_seconds_sum"
    }
    total = sums.pop("total")
    assert sum(sums.values()) == pytest.approx(total)


def test_all_series_exist_at_zero_before_the_first_request(measured):
    samples = measured()
    starts = {
        dict(labels)["step"]: value
        for (name, *labels), value in samples.items()
        if name == "statehouse_worker_start_seconds_count"
    }
    assert starts == {"load": 1, "warm_up": 1, "verify": 1}
    everything_else = {key: value for key, value in samples.items() if "worker_start" not in key[0]}
    assert set(everything_else.values()) == {0}
    for phase in (*PHASES, "total"):
        assert count(samples, phase) == 0
    for status, problem in problem_kinds():
        assert answered(samples, str(status), problem) == 0
    assert answered(samples, "200") == 0
    assert samples[("statehouse_rows_in_flight", ("model", "model"), ("version", "1.0"))] == 0


def test_what_was_answered_is_counted_even_if_the_worker_is_killed_at_once(measured):
    good, bad = '{"inputs": [1, 2, 3, 4]}', "{"
    samples = measured([good] * 32 + [bad] * 3, [good], killed=True)
    assert (answered(samples, "200"), answered(samples, "400", "broken-json")) == (33, 3)
    assert count(samples, "total") == 36
    total = [
        value
        for (name, *labels), value in samples.items()
        if name == "statehouse_request_duration_seconds_sum" and ("phase", "total") in labels
    ]
    assert total[0] > 0


def test_a_worker_that_is_started_again_where_another_was_is_a_restart(tmp_path):
    code = """
import sys
from pathlib import Path
from statehouse.handlers.worker.metrics import WorkerMetrics
WorkerMetrics(Path(sys.argv[1]), name="model", version="1.0").started(sys.argv[2])
"""
    for socket in (".ts.sock.9000", ".ts.sock.9001", ".ts.sock.9000", ".ts.sock.9000"):
        subprocess.run([sys.executable, "-c", code, tmp_path, f"/run/{socket}"], cwd=ROOT, check=True)
    read = subprocess.run(
        [sys.executable, "-c", READER, tmp_path], cwd=ROOT, check=True, capture_output=True, text=True
    )
    [restarts] = [
        value for name, _, value in json.loads(read.stdout) if name == "statehouse_worker_restarts_total"
    ]
    assert restarts == 2
