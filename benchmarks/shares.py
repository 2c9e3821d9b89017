"""Ours as a share of what the module alone does in a loop on the same cores, in turn with it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.load import Measure, Target, measure, warm_up
from benchmarks.pairs import Say
from benchmarks.raw_loop import Limit, limit_of, looping
from benchmarks.workloads import Form, Workload

GOAL = 0.95
LARGER = ("photo", "text")
CONNECTIONS = (8, 64)


@dataclass(frozen=True)
class Share:
    """One cell: ours at so many connections, and a loop of the module, one figure each per round."""

    title: str
    settings: str
    form: Form
    connections: int
    loop: str
    limit: Limit
    rows_per_second: tuple[float, ...]
    ours: tuple[Measure, ...]

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        pairs = zip(self.ours, self.rows_per_second, strict=True)
        return statistics.median(each.requests_per_second / rows for each, rows in pairs)

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"ratio": self.ratio}


def measure_shares(
    workload: Workload,
    servers: Mapping[str, Mapping[Form, Target]],
    folder: Path,
    *,
    rounds: int,
    seconds: float,
    say: Say,
) -> list[Share]:
    """Measure each of the ``servers``, by what they are run with, in every form, in turn with the loops."""
    loops = {"module": False, "module and decoding": True} if workload.kind == "image" else {"module": False}
    cells = [
        (name, form, count, target)
        for name, targets in servers.items()
        for form, target in targets.items()
        for count in CONNECTIONS
    ]
    say(f"{workload.title}: how fast a loop is")
    limits = {name: limit_of(workload, folder, seconds, decode=decode) for name, decode in loops.items()}
    for _, _, count, target in cells:
        warm_up(target, count)
    alone: dict[str, list[float]] = {name: [] for name in loops}
    ours: list[list[Measure]] = [[] for _ in cells]
    with ExitStack() as running:
        turns = {
            name: running.enter_context(looping(workload, folder, seconds, limits[name], decode=decode))
            for name, decode in loops.items()
        }
        for number in range(rounds):
            say(f"{workload.title}, in turn with the loop: round {number + 1} of {rounds}")
            for part in ("loops", "ours") if number % 2 == 0 else ("ours", "loops"):
                if part == "loops":
                    for name, turn in turns.items():
                        alone[name].append(turn())
                else:
                    for place, (_, _, count, target) in enumerate(cells):
                        ours[place].append(measure(target, count, seconds))
    return [
        Share(workload.title, name, form, count, loop, limits[loop], tuple(alone[loop]), tuple(measured))
        for (name, form, count, _), measured in zip(cells, ours, strict=True)
        for loop in loops
    ]


def print_shares(shares: Sequence[Share], console: Console) -> None:
    """Print them, a row each."""
    title = "Share of a loop of the module alone (no server, same cores, its best batch size), in turn"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
    headings = ("LOOP", "SETTINGS", "FORM", "CONN.", "LOOP/s", "OURS/s", "SHARE")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index > 2 else "left", no_wrap=True)
    for each in shares:
        limit = each.limit
        table.add_row(
            f"{each.loop}, batches of {limit.batch_size}, {limit.processes} × {limit.threads} threads",
            each.settings,
            each.form,
            str(each.connections),
            f"{statistics.median(each.rows_per_second):,.0f}",
            f"{statistics.median(one.requests_per_second for one in each.ours):,.0f}",
            _judged(each.ratio),
        )
    console.print(table)


def _judged(share: float) -> str:
    mark, colour = ("✓", "green") if share >= GOAL else ("✗", "red")
    return f"[{colour}]{share:.1%} {mark}[/] [dim]≥ {GOAL:.0%}[/]"
