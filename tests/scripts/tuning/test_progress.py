"""What `statehouse tune` says while it runs, in a pipe."""

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.progress import Step
from statehouse.scripts.tuning.choice import Figures, Goal, Measured
from statehouse.scripts.tuning.progress import TuneProgress

SETTINGS = VersionSettings(batch_size=4)


def measured(*, failed: int = 0) -> Measured:
    return Measured(SETTINGS, ((Figures(1234.5, 0.001, 0.002, failed), Figures(99.0, 0.01, 0.02)),))


def said(capsys: pytest.CaptureFixture[str], *, shown: bool) -> list[str]:
    with TuneProgress(shown=shown) as progress:
        progress.expect(3)
        progress.say("loading")
        progress.tried(measured(), Goal())
        progress.tried(measured(failed=1), Goal())
        progress.tried(Measured(SETTINGS, problem="not enough memory"), Goal())
        progress.step(Step("load", "loaded"))
        progress.step(Step("load", "refused", state="failed"))
        progress.note("put back")
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_each_candidate_is_a_line_and_of_steps_those_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, shown=True) == [
        "  ✓ batches up to 4, 1 worker × 1 thread  1,234 / 99 requests/s, p99 2.0 ms / 20.0 ms",
        "  ✓ batches up to 4, 1 worker × 1 thread  1,234 / 99 requests/s, p99 2.0 ms / 20.0 ms  "
        "lost requests or fell behind",
        "  ✗ batches up to 4, 1 worker × 1 thread: not enough memory",
        "  ✗ refused",
        "  · put back",
    ]


def test_nothing_is_said_to_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, shown=False) == []
