"""What a search for capacity and a comparison say to people, in a pipe."""

import numpy as np
import pytest

from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, LoadResult
from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.capacity import Capacity, Trial
from statehouse.scripts.load_test.compare import Comparison
from statehouse.scripts.load_test.histogram import latency_of
from statehouse.scripts.load_test.recorder import Recorder
from statehouse.scripts.load_test.report_rounds import (
    print_capacity,
    print_comparison,
    print_failures,
    print_round,
)
from statehouse.scripts.load_test.summary import summarise

PLAN = LoadPlan.for_url("http://h/", (Body(b"x", "text/plain"),), ClosedLoop(1, 1.0))
LATENCY = latency_of(np.array([0.001, 0.002]))
HELD, MISSED, LATE = (
    Trial(1000.0, 999.5, 0, LATENCY, None),
    Trial(2000.0, 1500.0, 3, LATENCY, "p99 was 20 ms"),
    Trial(2000.0, 1500.0, 3, LATENCY, "p99 was 20 ms", generator_bound=True),
)


def result(seconds: float, *, failed: int = 0, cpu_share: float = 0.1) -> LoadResult:
    recorder = Recorder(started=0.0)
    for index in range(10):
        recorder.answered(Answer(200, "1.0", True), index / 10, index / 10, index / 10 + seconds)
    for _ in range(failed):
        recorder.failed("timeout", 0.0, 0.1)
    return summarise(PLAN, recorder.recording(planned=10 + failed, cpu_share=cpu_share, interrupted=False))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            Capacity(1000.0, 0.01, (HELD, MISSED)),
            ["✓ 1,000 requests per second with p99 within 10.0 ms, confirmed in 3 rounds"],
        ),
        (Capacity(None, 0.01, (MISSED,)), ["✗ No rate keeps p99 within 10.0 ms."]),
        (
            Capacity(1000.0, 0.01, (HELD, MISSED), interrupted=True),
            ["! interrupted: by then 1,000 requests per second had kept p99 within 10.0 ms"],
        ),
        (
            Capacity(None, 0.01, (), interrupted=True),
            ["! interrupted: by then no rate had kept p99 within 10.0 ms"],
        ),
        (
            Capacity(1000.0, 0.01, (HELD, LATE)),
            [
                "✓ 1,000 requests per second with p99 within 10.0 ms, confirmed in 3 rounds",
                "! the generator, and not the server, ended the search: more --processes may find more",
            ],
        ),
    ],
)
def test_the_rate_that_was_found(
    found: Capacity, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    print_capacity(found)
    assert capsys.readouterr().out.splitlines() == told


def test_each_round_while_the_search_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    print_round(HELD, to_stdout=True)
    print_round(MISSED, to_stdout=False)
    print_round(LATE, to_stdout=False)
    captured = capsys.readouterr()
    assert captured.out == "  ✓     1,000 per second  p50   1.0 ms  p99   2.0 ms\n"
    assert captured.err.splitlines() == [
        "  ✗     2,000 per second  p50   1.0 ms  p99   2.0 ms  p99 was 20 ms",
        "  ✗     2,000 per second  p50   1.0 ms  p99   2.0 ms  p99 was 20 ms (the generator was late)",
    ]


def test_two_versions_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    base = (result(0.010), result(0.010), result(0.010))
    other = (result(0.020, failed=1), result(0.020), result(0.020, cpu_share=0.95))
    print_comparison(Comparison("1.0", "1.1", base, other))
    first, headings, *rows = capsys.readouterr().out.splitlines()
    assert first == "1.1 beside 1.0, 3 rounds each, in turn"
    assert headings.split() == ["FIGURE", "1.0", "1.1", "RATIO", "95", "%", "INTERVAL"]
    cells = {row.split()[0]: row.split() for row in rows}
    assert cells["p50"] == ["p50", "10.0", "ms", "20.0", "ms", "2.000×", "2.000", "–", "2.000", "different"]
    assert cells["failed"] == ["failed", "0", "1"]
    assert cells["rate"][1].endswith("/s")
    assert rows[-1].startswith("! the generator may be what was measured: it used 95%")


def test_one_pair_of_rounds_shows_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(Comparison("1.0", "1.1", (result(0.010),), (result(0.020),)))
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("p50"))
    assert row.split()[-5:] == ["–", "∞", "no", "difference", "shown"]


def test_a_comparison_that_was_interrupted_says_how_much_there_is_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_comparison(Comparison("1.0", "1.1", (), (), interrupted=True))
    assert capsys.readouterr().out == "! interrupted after 0 whole rounds of each\n"
    print_comparison(Comparison("1.0", "1.1", (result(0.010),), (result(0.020),), interrupted=True))
    assert capsys.readouterr().out.startswith("! interrupted after 1 whole round of each\n1.1 beside 1.0")


def test_why_a_load_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    print_failures(["p99 > 10 ms: it was 20 ms", "[failed] > 0"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["failed: p99 > 10 ms: it was 20 ms", "failed: [failed] > 0"]
