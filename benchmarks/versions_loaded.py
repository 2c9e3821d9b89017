"""Does a request cost more when more versions are loaded? 1, 5 and 20 of the small network, one of them asked.

Every version has one worker that takes batches of up to 8, so that twenty fit into memory; the server is started
anew for each number, in turn, as often as there are rounds.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.check import check_answers
from benchmarks.load import Measure, measure, warm_up
from benchmarks.pairs import Say
from benchmarks.peers.statehouse import Statehouse
from benchmarks.workloads import make

COUNTS = (1, 5, 20)
CONNECTIONS = 8
BATCH_SIZE = 8
SETTINGS = {"workers": 1, "batch_size": BATCH_SIZE}


@dataclass(frozen=True)
class Loaded:
    """What was found with so many versions loaded; a Measure per round."""

    versions: int
    measures: tuple[Measure, ...]

    def median(self, figure: str) -> float:
        """Return the median of a field of Measure."""
        return statistics.median(getattr(each, figure) for each in self.measures)


def run(folder: Path, rounds: int, seconds: float, say: Say) -> list[Loaded]:
    """Measure each number of versions, once per round."""
    workload = make("small", folder)
    found: dict[int, list[Measure]] = {count: [] for count in COUNTS}
    for round_number in range(rounds):
        for count in COUNTS:
            say(f"{count} versions loaded: round {round_number + 1} of {rounds}")
            server, home = Statehouse(count, SETTINGS), folder / f"loaded-{count}"
            home.mkdir(exist_ok=True)
            try:
                server.start(workload, home)
                check_answers(server, "json", workload)
                target = server.target("json")
                if target is not None:
                    warm_up(target, CONNECTIONS)
                    found[count].append(measure(target, CONNECTIONS, seconds))
            finally:
                server.stop()
    return [Loaded(count, tuple(measures)) for count, measures in found.items()]


def print_loaded(rows: list[Loaded], console: Console) -> None:
    """Print the cost of a request by how many versions are loaded."""
    title = f"Versions loaded, one asked ({CONNECTIONS} connections, batches of up to {BATCH_SIZE})"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
    for heading in ("VERSIONS", "REQUESTS/s", "× ONE", "P50", "P99", "FAILED"):
        table.add_column(heading, justify="right", no_wrap=True)
    first = rows[0].median("requests_per_second")
    for row in rows:
        table.add_row(
            str(row.versions),
            f"{row.median('requests_per_second'):,.0f}",
            f"{row.median('requests_per_second') / first:.2f}",
            f"{row.median('p50_seconds') * 1e3:.2f} ms",
            f"{row.median('p99_seconds') * 1e3:.2f} ms",
            f"{sum(each.failed for each in row.measures):,}",
        )
    console.print(table)
