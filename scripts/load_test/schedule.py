"""A recorded schedule: the times of other traffic, as ``--csv`` of an earlier load or one number per line."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.load_test.arrivals import OpenLoop

DUE_COLUMN = "due_seconds"


def read_schedule(file: Path) -> OpenLoop:
    """Return the open loop that repeats the times in ``file``, seconds from any zero.

    ArgumentError says which lines are no times.
    """
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        if isinstance(error, csv.Error):
            reason = f"it is no list of times, {error}"
        raise ArgumentError(f"--schedule {str(file)!r} cannot be read: {reason}.") from error
    column, first = 0, 1
    if rows and DUE_COLUMN in rows[0]:
        column, first = rows[0].index(DUE_COLUMN), 2
    cells = [
        (number, row[column].strip() if len(row) > column else "")
        for number, row in enumerate(rows[first - 1 :], first)
        if any(cell.strip() for cell in row)
    ]
    times, wrong = [], []
    for number, cell in cells:
        seconds = _seconds(cell)
        if seconds is None:
            wrong.append(f"line {number}: {cell[:40]!r}")
        else:
            times.append(seconds)
    if wrong or not times:
        shown = "; ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise ArgumentError(
            f"--schedule {str(file)!r} has no times{': ' + shown if wrong else ''}. Expected a number of seconds on "
            f"each line, or a CSV with a column {DUE_COLUMN}."
        )
    return OpenLoop.recorded(times)


def _seconds(cell: str) -> float | None:
    try:
        seconds = float(cell)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
