"""Statehouse beside its peers: the same model, requests and machine, ours and one peer up at a time.

python -m benchmarks.compare                       the small network, every peer, about 10 minutes
python -m benchmarks.compare --all --plot all.svg  everything
python -m benchmarks.compare --peers triton --connections 1,2,4,8,16,32,64 --plot triton.svg
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import ledger, versions_loaded
from benchmarks.load import default_generator
from benchmarks.pairs import Say
from benchmarks.processes import ROOT, PeerUnavailableError, bench_python, end_in_order
from benchmarks.shares import print_shares
from benchmarks.table import print_comparisons
from benchmarks.workload_figures import PEERS, Found, Plan, measure_workload

WORKLOADS = ("small", "photo", "text")
JUDGED = (1, 8, 64)
PLOTTED = (1, 2, 4, 8, 16, 32, 64)


def main() -> None:
    """Measure and print."""
    end_in_order()
    options = _parse()
    progress, console = Console(stderr=True), Console(width=150)

    def say(text: str) -> None:
        progress.print(f"· {text}", style="dim", highlight=False)

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        document = measure(options, Path(folder), say, console)
        if options.plot:
            _plot(document, options.plot, Path(folder), say)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def measure(options: argparse.Namespace, folder: Path, say: Say, console: Console) -> dict[str, Any]:
    """Run what was asked for, print each table when it is whole, and return all figures."""
    found = []
    for name in options.workloads:
        found.append(measure_workload(name, _plan(options, name), folder, say))
        _print_workload(found[-1], options, console)
    document: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "generator": default_generator()},
        "workloads": [each.to_plain() for each in found],
    }
    if options.all:
        loaded = versions_loaded.run(folder, options.rounds, options.seconds, say)
        versions_loaded.print_loaded(loaded, console)
        say("the ledger of one request")
        document["ledger"] = ledger.run(folder, rounds=5, requests=500)
        ledger.print_ledger(document["ledger"], console)
        document["versions_loaded"] = [asdict(row) for row in loaded]
    return document


def _plan(options: argparse.Namespace, workload: str) -> Plan:
    plotted = bool(options.plot or options.all) and workload == "small"
    connections = options.connections or (PLOTTED if plotted else JUDGED)
    return Plan(options.peers, connections, options.rounds, options.seconds)


def _print_workload(found: Found, options: argparse.Namespace, console: Console) -> None:
    console.print()
    print_comparisons(found.workload.title, found.comparisons, found.unavailable, console)
    console.print(
        f"[dim]{os.cpu_count()} cores; medians of {options.rounds} rounds of {options.seconds:g} s each, in turn; "
        f"load by {'wrk' if default_generator() == 'wrk' else 'our own generator'}. "
        "Ratios are ours to theirs, medians of the rounds.[/]\n",
        highlight=False,
    )
    if found.shares:
        print_shares(found.shares, console)
        console.print()


def _plot(document: dict[str, Any], file: Path, folder: Path, say: Say) -> None:
    figures = folder / "figures.json"
    figures.write_text(json.dumps(document["workloads"][0]))
    try:
        python = bench_python("matplotlib")
    except PeerUnavailableError as error:
        say(f"no plot: {error}")
        return
    command = [python, "-m", "benchmarks.plot", str(figures), str(file.resolve())]
    subprocess.run(command, check=True, cwd=ROOT)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--all", action="store_true", help="all workloads, the versions loaded, and the ledger"
    )
    parser.add_argument("--workloads", type=_one_of(WORKLOADS), help="comma-separated; small by default")
    parser.add_argument("--peers", type=_one_of(tuple(PEERS)), default=tuple(PEERS), help="comma-separated")
    parser.add_argument("--connections", type=_numbers, help="comma-separated; 1,8,64, and more for a plot")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--json", type=Path, help="write every figure here as well")
    parser.add_argument("--plot", type=Path, help="draw the first workload over connections: .svg or .png")
    options = parser.parse_args()
    options.workloads = options.workloads or (WORKLOADS if options.all else WORKLOADS[:1])
    return options


def _one_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        given = tuple(text.split(","))
        unknown = [name for name in given if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)!r} is unknown; expected {', '.join(known)}"
            )
        return given

    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
