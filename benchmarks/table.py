"""The table: ours beside each peer, the ratio, the goal, and whether it was met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.goals import P50, P99, THROUGHPUT, goals_for
from benchmarks.pairs import Comparison

PEER_ORDER = ("triton", "fastapi", "litserve", "bentoml", "torchserve")
TITLES = {
    "triton": "Triton",
    "fastapi": "FastAPI",
    "litserve": "LitServe",
    "bentoml": "BentoML",
    "torchserve": "TorchServe",
}


def print_comparisons(
    title: str, comparisons: Sequence[Comparison], unavailable: Mapping[str, str], console: Console
) -> None:
    """Print one workload's table: a row per peer, form and number of connections; who is missing, and why."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
    for index, heading in enumerate(
        (
            "PEER",
            "FORM",
            "CONN.",
            "OURS/s",
            "PEER/s",
            "RATIO",
            "P50 OURS",
            "PEER",
            "RATIO",
            "P99 OURS",
            "PEER",
            "RATIO",
        )
    ):
        table.add_column(heading, justify="right" if index > 1 else "left", no_wrap=True)
    last = None
    for cell in sorted(comparisons, key=_order):
        if last not in (None, cell.peer):
            table.add_section()
            table.add_row()
        table.add_row("" if last == cell.peer else TITLES.get(cell.peer, cell.peer), *_columns(cell))
        last = cell.peer
    console.print(table)
    for peer, reason in unavailable.items():
        console.print(f"[yellow]{TITLES.get(peer, peer)} was not measured:[/] {reason}")
    _print_failures(comparisons, console)
    _print_verdict(comparisons, console)


def _columns(cell: Comparison) -> list[str]:
    columns = [cell.form, str(cell.connections)]
    for figure in (THROUGHPUT, P50, P99):
        for side in ("ours", "theirs"):
            median = cell.median(side, figure)
            columns.append(f"{median:,.0f}" if figure == THROUGHPUT else milliseconds(median))
        columns.append(_ratio(cell, figure))
    return columns


def milliseconds(seconds: float) -> str:
    """Return a duration in ms, with as many digits as one reads."""
    return f"{seconds * 1e3:.2f} ms" if seconds < 0.00995 else f"{seconds * 1e3:.1f} ms"


def _ratio(cell: Comparison, figure: str) -> str:
    ratio = cell.ratio(figure)
    goal = next((goal for goal in goals_for(cell) if goal.figure == figure), None)
    if goal is None:
        return f"[bold]{ratio:.2f}[/]        "
    met = goal.met(ratio)
    mark, colour = ("✓", "green") if met else ("✗", "red")
    return f"[bold {colour}]{ratio:.2f} {mark}[/] [dim]{f'{goal}':<5}[/]"


def _print_failures(comparisons: Sequence[Comparison], console: Console) -> None:
    for cell in sorted(comparisons, key=_order):
        for side, count in cell.failed.items():
            if count:
                who = "Statehouse" if side == "ours" else TITLES.get(cell.peer, cell.peer)
                place = (
                    f"beside {TITLES.get(cell.peer, cell.peer)}, {cell.form}, {cell.connections} connections"
                )
                console.print(f"[red]{who} failed {count:,} requests[/] ({place})")


def _print_verdict(comparisons: Sequence[Comparison], console: Console) -> None:
    verdicts = [goal.met(cell.ratio(goal.figure)) for cell in comparisons for goal in goals_for(cell)]
    if verdicts:
        console.print(f"\n{sum(verdicts)} of {len(verdicts)} goals met.")


def _order(cell: Comparison) -> tuple[int, str, str, int]:
    place = PEER_ORDER.index(cell.peer) if cell.peer in PEER_ORDER else len(PEER_ORDER)
    return place, cell.peer, "" if cell.form == "json" else cell.form, cell.connections
