"""Where a load stands while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from statehouse.scripts.load_test.recorder import Recorder

RECENT_ROWS = 500  # what the p99 of now is told from


@dataclass(frozen=True)
class LoadProgress:
    """``planned`` grows while it runs in a closed loop; ``recent_p99_seconds`` is of the last few requests."""

    elapsed_seconds: float
    planned: int
    sent: int
    answered: int
    failed: int
    unsent: int
    recent_p99_seconds: float | None = None


OnProgress = Callable[[LoadProgress], None]


def progress_of(recorder: Recorder, planned: int, now: float) -> LoadProgress:
    """Return where one process's load stands."""
    recent = recorder.rows.recent_seconds(RECENT_ROWS)
    return LoadProgress(
        elapsed_seconds=max(now - recorder.started, 0.0),
        planned=planned,
        sent=recorder.sent_count,
        answered=recorder.answered_count,
        failed=recorder.failed_count,
        unsent=recorder.unsent_count,
        recent_p99_seconds=float(np.quantile(recent, 0.99)) if len(recent) else None,
    )


def merge_progress(parts: Sequence[LoadProgress]) -> LoadProgress:
    """Return where the load of several processes stands; the p99 is that of the slowest."""
    known = [part.recent_p99_seconds for part in parts if part.recent_p99_seconds is not None]
    return LoadProgress(
        elapsed_seconds=max(part.elapsed_seconds for part in parts),
        planned=sum(part.planned for part in parts),
        sent=sum(part.sent for part in parts),
        answered=sum(part.answered for part in parts),
        failed=sum(part.failed for part in parts),
        unsent=sum(part.unsent for part in parts),
        recent_p99_seconds=max(known, default=None),
    )
