"""`statehouse load-test`, without its command line: plan, run, show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.load_test.report import LiveProgress
from scripts.load_test.result import LoadResult
from scripts.load_test.run import run
from scripts.load_test.target import choose_arrivals, plan_for


def load_test(
    target: str,
    *,
    rate: float | None,
    connections: int | None,
    duration_seconds: float,
    body_files: Sequence[Path],
    timeout_seconds: float,
    deployment_file: Path,
    shown: bool,
) -> LoadResult:
    """Run a load on ``NAME`` or ``NAME/VERSION``, with a progress bar if ``shown``.

    Raises what `plan_for` and `run_load` raise, and ArgumentError for options that do not go together.
    """
    arrivals = choose_arrivals(rate=rate, connections=connections, duration_seconds=duration_seconds)
    plan = plan_for(
        target,
        arrivals,
        deployment_file=deployment_file,
        body_files=body_files,
        timeout_seconds=timeout_seconds,
    )
    with LiveProgress(plan, shown=shown) as progress:
        return run(plan, progress.show)
