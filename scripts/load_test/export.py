"""`--csv`: one line per request, in the order in which they were due; or one per round of a search."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from statehouse.scripts.errors import CommandError
from statehouse.scripts.load_test.result import LoadResult
from statehouse.scripts.load_test.schedule import DUE_COLUMN

COLUMNS = (DUE_COLUMN, "sent_seconds", "ended_seconds", "latency_seconds", "status", "version", "error")


def write_requests(file: Path, result: LoadResult) -> None:
    """Write what became of every request; ``latency_seconds`` is empty where there was no answer.

    ``--schedule`` reads it. CommandError when it cannot be written.
    """
    records = result.records
    order = np.argsort(records.due, kind="stable")

    def lines() -> Iterable[Sequence[object]]:
        columns = (records.due, records.sent, records.ended, records.outcome)
        for due, sent, ended, index in zip(*(column[order].tolist() for column in columns), strict=True):
            outcome = records.outcomes[index]
            latency = f"{ended - due:.6f}" if outcome.status is not None else ""
            was_sent = "" if math.isnan(sent) else f"{sent:.6f}"
            yield (
                *(f"{due:.6f}", was_sent, f"{ended:.6f}", latency),
                *(outcome.status or "", outcome.version or "", outcome.error or ""),
            )

    write_lines(file, COLUMNS, lines())


def write_lines(file: Path, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Write a CSV; CommandError when that cannot be."""
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(lines)
    except OSError as error:
        raise CommandError(f"--csv {file} cannot be written: {error.strerror or error}.") from error
