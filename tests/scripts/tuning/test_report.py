"""What is said in the end: every verdict, and the table on a terminal of 80 columns."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenLoop
from statehouse.scripts.tuning.choice import Figures, Goal, Measured
from statehouse.scripts.tuning.report import print_result
from statehouse.scripts.tuning.result import SecondRun, TuneResult, plain_result


def measured(size: int, rate: float, p99_ms: float, failed: int = 0) -> Measured:
    settings = VersionSettings(batch_size=size)
    return Measured(settings, ((Figures(rate, p99_ms / 2e3, p99_ms / 1e3, failed),),))


PRESENT, BEST = measured(1, 1000, 9), measured(8, 2000, 5)
REFUSED = Measured(VersionSettings(workers=200), problem="not enough memory")
RESULT = TuneResult(
    "digits", "1.0", Goal(), (ClosedLoop(8, 2.0),), (PRESENT, measured(4, 1500, 6, failed=3), BEST, REFUSED),
    BEST, SecondRun(PRESENT, BEST), written=True, bottleneck=None,
)  # fmt: skip


def printed(result: TuneResult, capsys: pytest.CaptureFixture[str]) -> str:
    print_result(result)
    return capsys.readouterr().out


def test_the_table_marks_the_best_the_present_and_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(RESULT, capsys).splitlines()
    assert lines[2].split() == [
        "1",
        "1",
        "×",
        "1",
        "1,000",
        "4.5",
        "ms",
        "9.0",
        "ms",
        "yes",
        "(present)",
    ]
    assert lines[3].endswith("no      3 failed")
    assert lines[4].endswith("yes     ← best")
    assert lines[5].endswith("no      not run")
    assert lines[6].startswith("P99 limit: 10.0 ms; twice the lowest")
    assert lines[7] == (
        "✓ batches up to 8, 1 worker × 1 thread: 2.00 × the requests/s of before in a second run (2,000 to 1,000; "
        "p99 5.0 ms). Written to the deployment."
    )


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"written": False}, "Nothing was written (--dry-run)."),
        ({"second_run": SecondRun(PRESENT, PRESENT)}, "at first, but 1.00 × in a second run"),
        ({"second_run": None, "chosen": PRESENT}, "The present settings are the best that was found: they stay."),
        ({"second_run": None, "chosen": measured(2, 1010, 5)}, "gave 1.01 × the requests/s of the present settings"),
        ({"second_run": None, "chosen": None}, "batches up to 8, 1 worker × 1 thread came closest: the present"),
        ({"second_run": None, "chosen": None, "found": (REFUSED,)}, "Every candidate lost requests or fell behind"),
        ({"goal": Goal(rate_per_second=900), "loads": (OpenLoop(900, 2.0),)}, "0.56 × the p99 of before"),
        ({"bottleneck": "it used 95 %"}, "! the generator may be what was measured: it used 95 %"),
    ],
)  # fmt: skip
def test_every_end_is_told(
    changes: dict[str, object], verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdict in printed(replace(RESULT, **changes), capsys)  # type: ignore[arg-type]


def test_json_has_no_infinities() -> None:
    silent = Measured(PRESENT.settings, ((Figures(0, float("inf"), float("inf"), 1),),))
    result = replace(RESULT, found=(silent,), chosen=None, second_run=SecondRun(silent, BEST))
    plain = json.loads(json.dumps(plain_result(result), allow_nan=False))
    assert plain["candidates"][0]["figures"][0]["p99_seconds"] is None
    assert plain["second_run"]["gain"] is None
