"""Ours as a share of what the module alone does on the same cores."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.goals import THROUGHPUT
from benchmarks.pairs import Comparison
from benchmarks.workload_figures import Found

GOAL = 0.95
LARGER = ("photo", "text")


def print_limits(found: Sequence[Found], console: Console) -> None:
    """Print the best throughput of each workload beside the raw PyTorch loop's."""
    title = "Share of the raw PyTorch loop (no server, same cores, its best batch size)"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
    for index, heading in enumerate(("WORKLOAD", "LIMIT", "LIMIT/s", "OURS/s", "AT", "SHARE")):
        table.add_column(heading, justify="right" if index > 1 else "left", no_wrap=True)
    for each in found:
        for name, limit in each.limits.items():
            if not each.comparisons:
                continue
            cell = best(each.comparisons)
            rate = cell.median("ours", THROUGHPUT)
            share = rate / limit.rows_per_second
            how = f"{name}, batches of {limit.batch_size}, {limit.processes} × {limit.threads} threads"
            at = f"{cell.form}, {cell.connections} conn."
            judged = _judged(share) if each.workload.name in LARGER else f"{share:.1%}"
            table.add_row(
                each.workload.title, how, f"{limit.rows_per_second:,.0f}", f"{rate:,.0f}", at, judged
            )
    if table.row_count:
        console.print(table)


def best(cells: Sequence[Comparison]) -> Comparison:
    """Return the cell where ours did the most."""
    return max(cells, key=lambda cell: cell.median("ours", THROUGHPUT))


def _judged(share: float) -> str:
    mark, colour = ("✓", "green") if share >= GOAL else ("✗", "red")
    return f"[{colour}]{share:.1%} {mark}[/] [dim]≥ {GOAL:.0%}[/]"
