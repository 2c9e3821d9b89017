"""A worker's start: what every import costs, and how long until its version has proved itself."""

from __future__ import annotations

import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.support.worker_process import ForkServer, WorkerProcess, make_version

TORCH_MODULES_SHOWN = 6
SHOWN_FROM_MS = 8.0
IMPORT_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)")
WITHOUT_COLLECTING = (
    "import gc, runpy, sys; gc.disable(); del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def show_imports(console: Console, folder: Path, models: dict[str, Any], rounds: int) -> None:
    """Two tables per model: imports by package, and starts alone beside starts as forks."""
    for number, (title, (architecture, config, task)) in enumerate(models.items()):
        _, private = make_version(folder / f"start-{number}", architecture, config, task)
        handler = f"statehouse.handlers.{task.task}"
        console.print(import_table(title, private, handler))
        console.print(start_table(title, private, handler, rounds))


def import_table(title: str, private: Path, handler: str) -> Table:
    """Every package that a worker of its own imports: milliseconds by themselves, and how many modules."""
    told = private / "importtime.txt"
    # The collector would run inside whichever module is being imported and be counted as its cost.
    with WorkerProcess(
        private, handler, python=(sys.executable, "-X", "importtime", "-c", WITHOUT_COLLECTING), errors=told
    ):
        pass
    milliseconds: dict[str, float] = defaultdict(float)
    modules: dict[str, int] = defaultdict(int)
    for line in told.read_text().splitlines():
        if found := IMPORT_LINE.match(line):
            package = found[3].partition(".")[0]
            milliseconds[package] += int(found[1]) / 1000
            modules[package] += 1
    table = Table("package", "modules", "ms by itself", title=f"A worker's imports: {title}")
    rest = [package for package, cost in milliseconds.items() if cost < SHOWN_FROM_MS]
    for package, cost in sorted(milliseconds.items(), key=lambda each: -each[1]):
        if package not in rest:
            table.add_row(package, str(modules[package]), f"{cost:.0f}")
    others = (sum(modules[name] for name in rest), sum(milliseconds[name] for name in rest))
    table.add_row(f"{len(rest)} others, under {SHOWN_FROM_MS:g} each", str(others[0]), f"{others[1]:.0f}")
    table.add_row("together", str(sum(modules.values())), f"{sum(milliseconds.values()):.0f}")
    return table


def start_table(title: str, private: Path, handler: str, rounds: int) -> Table:
    """Seconds from the process' start until it listens, and until its version has proved itself."""
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    with ForkServer(private) as server:
        WorkerProcess(private, handler, python=server.client).stop()  # the server has imported by then
        ways = {
            "a process of its own": (sys.executable,),
            "the same, without collecting garbage": (sys.executable, "-c", WITHOUT_COLLECTING),
            "forked": server.client,
        }
        for _ in range(rounds):
            for way, python in ways.items():
                with WorkerProcess(private, handler, python=python) as worker:
                    private_mib = worker.memory_kib("Private_Dirty") / 1024
                    found[way].append((worker.listening_seconds, worker.ready_seconds, private_mib))
    table = Table(
        "worker", "listens", "ready", "ratio", "memory of its own", title=f"A worker's start: {title}"
    )
    slowest = statistics.median(ready for _, ready, _ in found["a process of its own"])
    for way, runs in found.items():
        listens, ready, own = (statistics.median(values) for values in zip(*runs, strict=True))
        table.add_row(way, f"{listens:.2f} s", f"{ready:.2f} s", f"{slowest / ready:.1f} x", f"{own:.0f} MiB")
    return table
