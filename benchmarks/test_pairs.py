"""Ratios, goals and the table: what the benchmark says of what it measured."""

import dataclasses
import io

import pytest
from rich.console import Console

from benchmarks.goals import P50, P99, THROUGHPUT, Goal, goals_for
from benchmarks.load import Measure
from benchmarks.pairs import Comparison
from benchmarks.plot import lines_of
from benchmarks.table import milliseconds, print_comparisons


def _measure(rate: float, p99_seconds: float = 0.002, failed: int = 0) -> Measure:
    return Measure(rate, 0.001, p99_seconds, answered=int(rate), failed=failed)


def _cell(ours: list[float], theirs: list[float], **changes: object) -> Comparison:
    cell = Comparison("small", "json", 64, "triton", tuple(map(_measure, ours)), tuple(map(_measure, theirs)))
    return dataclasses.replace(cell, **changes)


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians() -> None:
    # A round in which the machine is slow for both says the same as the others.
    cell = _cell([100, 10, 300], [100, 5, 100])
    assert cell.ratio(THROUGHPUT) == 2.0
    assert cell.median("ours", THROUGHPUT) / cell.median("theirs", THROUGHPUT) == 1.0


@pytest.mark.parametrize(
    ("peer", "form", "connections", "expected"),
    [
        ("triton", "json", 64, [Goal(THROUGHPUT, 2.0), Goal(P50, 1.0), Goal(P99, 1.2)]),
        ("triton", "binary", 8, [Goal(THROUGHPUT, 1.4), Goal(P50, 1.0), Goal(P99, 1.2)]),
        ("triton", "json", 1, [Goal(THROUGHPUT, 1.5), Goal(P50, 1.0)]),
        ("triton", "json", 16, [Goal(P50, 1.0)]),
        ("fastapi", "json", 64, [Goal(THROUGHPUT, 3.5)]),
        ("fastapi", "binary", 64, []),
        ("bentoml", "json", 8, []),
    ],
)
def test_goals(peer: str, form: str, connections: int, expected: list[Goal]) -> None:
    assert goals_for(_cell([1], [1], peer=peer, form=form, connections=connections)) == expected


def test_a_goal_is_a_floor_for_throughput_and_a_ceiling_for_latency() -> None:
    assert [Goal(THROUGHPUT, 1.2).met(ratio) for ratio in (1.19, 1.2, 2)] == [False, True, True]
    assert [Goal(P99, 1.0).met(ratio) for ratio in (0.5, 1.0, 1.01)] == [True, True, False]


def test_the_table_tells_what_was_missed_failed_and_not_measured() -> None:
    fallen = dataclasses.replace(
        _cell([130, 110, 119], [100]), theirs=(_measure(100, failed=7), _measure(100), _measure(100))
    )
    output = io.StringIO()
    console = Console(file=output, width=150, color_system=None)
    print_comparisons("title", [fallen], {"bentoml": "not installed in .venv-bench: bentoml"}, console)
    text = output.getvalue()
    assert "1.19 ✗ ≥ 2" in text
    assert "1.00 ✓ ≤ 1" in text
    assert "2 of 3 goals met" in text
    assert "Triton failed 7 requests" in text
    assert "BentoML was not measured: not installed in .venv-bench: bentoml" in text


def test_the_table_is_sorted_by_peer_form_and_connections() -> None:
    cells = [
        _cell([1], [1], peer=peer, form=form, connections=count)
        for peer, form, count in [
            ("fastapi", "json", 8), ("triton", "binary", 8), ("triton", "json", 64), ("triton", "json", 8)
        ]
    ]  # fmt: skip
    output = io.StringIO()
    print_comparisons("title", cells, {}, Console(file=output, width=150, color_system=None))
    rows = [line.split() for line in output.getvalue().splitlines()]
    shown = [row for row in rows if "json" in row[:2] or "binary" in row[:2]]
    assert [row[:3] if row[0] in ("Triton", "FastAPI") else row[:2] for row in shown] == [
        ["Triton", "json", "8"], ["json", "64"], ["binary", "8"], ["FastAPI", "json", "8"]
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), [(0.00065, "0.65 ms"), (0.0099, "9.90 ms"), (0.01, "10.0 ms")])
def test_milliseconds(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_the_plot_takes_ours_of_all_pairs() -> None:
    cells = [_cell([10], [1]).to_plain(), _cell([30, 20], [1, 1], peer="fastapi").to_plain()]
    lines = lines_of(cells, THROUGHPUT)
    assert lines["Statehouse", "json"] == {64: 20}
    assert set(lines) == {("Statehouse", "json"), ("triton", "json"), ("fastapi", "json")}
