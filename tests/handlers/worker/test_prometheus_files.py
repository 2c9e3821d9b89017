import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import Histogram

from statehouse.handlers.worker.metrics import BUCKETS_SECONDS
from statehouse.handlers.worker.prometheus_files import is_as_expected, many_observer

# prometheus_client decides once per process where its numbers go.
IN_A_FILE = """
from prometheus_client import Counter
from statehouse.handlers.worker.prometheus_files import adder, is_file_value, setter
values = [Counter(f"c{number}", "c", registry=None)._value for number in range(2000)]  # the file grows meanwhile
assert all(map(is_file_value, values))
adds = [adder(value) for value in values]
for add in adds:
    add(2)
    add(0.5)
setter(values[1])(7)
Counter("one_more", "c", registry=None).inc()  # written by prometheus_client itself
in_file = [value._file.read_value(value._key) for value in values]
assert in_file == [(2.5, 0.0), (7.0, 0.0), *[(2.5, 0.0)] * 1998], in_file
"""


@pytest.fixture
def make_histogram():
    def make():
        return Histogram("h", "h", ["phase"], buckets=BUCKETS_SECONDS, registry=None).labels(phase="total")

    return make


def samples(histogram):
    return {
        (s.name, *s.labels.items()): pytest.approx(s.value)
        for s in histogram._child_samples()
        if s.name != "_created"
    }


@pytest.mark.parametrize("amount", [0, 0.0001, 0.00010001, 0.3, 60, 61, 1e9])
@pytest.mark.parametrize("count", [0, 1, 2, 32])
def test_it_is_as_so_many_single_observations(make_histogram, amount, count):
    one_by_one, at_once = make_histogram(), make_histogram()
    for _ in range(count):
        one_by_one.observe(amount)
    many_observer(at_once)(amount, count)
    assert samples(at_once) == {key: value.expected for key, value in samples(one_by_one).items()}


def test_prometheus_client_is_as_expected(make_histogram):
    assert is_as_expected(make_histogram())


def test_another_prometheus_client_is_used_as_it_says(make_histogram, monkeypatch):
    histogram = make_histogram()
    monkeypatch.setattr(histogram, "_upper_bounds", [1.0, float("inf")])
    assert not is_as_expected(histogram)
    seen = []
    monkeypatch.setattr(histogram, "observe", seen.append)
    many_observer(histogram)(0.5, 3)
    assert seen == [0.5] * 3


def test_values_in_a_file_are_where_they_are_expected(tmp_path):
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", IN_A_FILE], env=environment, check=True)
