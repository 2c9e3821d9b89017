"""A server under steady load, swapped, hurt and asked nonsense for half an hour: nothing wrong, lost or growing.

    python -m tests.soak --seconds 1800

Every answer is compared with what its version must give. Every 20 s the other version is loaded and swapped in, and
the old one retired; every minute a worker is killed; one request in a hundred is bad. Exit code 0: no wrong answer,
no request lost, nothing grows; 1: something did, and the table says what.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.soak.growth import Growth
from tests.soak.run import Outcome, soak

out = Console(width=110)
err = Console(stderr=True)


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        outcome = soak(
            Path(folder),
            seconds=options.seconds,
            rate=options.rate,
            tell=lambda line: err.print(line, style="dim", highlight=False),
        )
    if options.json:
        print(json.dumps(_as_json(outcome), indent=1))
    else:
        _print(outcome)
    return 0 if outcome.passed else 1


def _options() -> argparse.Namespace:
    lines = str(__doc__).splitlines()
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=lines[0], epilog="Example: make soak SECONDS=120"
    )
    parser.add_argument("--seconds", type=float, default=1800, help="how long (120 or more; default 1800)")
    parser.add_argument("--rate", type=float, default=50, help="requests per second (default 50)")
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    options = parser.parse_args()
    if options.seconds < 120 or options.rate <= 0:
        parser.error("expected 120 seconds or more, and a rate above 0: slopes need some cycles")
    return options


def _as_json(outcome: Outcome) -> dict[str, object]:
    told = {"passed": outcome.passed} | asdict(outcome)
    told["growth"] = [
        asdict(each) | {"grows": each.grows, "in_doubt": each.in_doubt} for each in outcome.growth
    ]
    return told


def _print(outcome: Outcome) -> None:
    table = Table("what", "first", "last", "per minute", "bound", "", box=None, header_style="dim")
    for each in outcome.growth:
        table.add_row(
            f"{each.name}{f' ({each.unit})' if each.unit else ''}",
            *(f"{value:,.1f}" for value in (each.first, each.last)),
            f"{each.slope:+.3f} ± {each.error:.3f}",
            f"{each.bound:.2f}",
            _verdict(each),
        )
    out.print(table)
    out.print(f"{outcome.answers_by_status} of {outcome.requests:,} requests, {outcome.swaps} swaps, "
              f"{len(outcome.kills)} workers killed", highlight=False)  # fmt: skip
    for kill in outcome.kills:
        out.print(f"  killed at {kill.at_seconds:.0f} s: {kill.failed} failed, all told so", style="dim")
    for line in outcome.problems:
        out.print(line, style="red", markup=False)
    out.print("passed" if outcome.passed else "FAILED", style="green" if outcome.passed else "red")


def _verdict(growth: Growth) -> str:
    if growth.grows:
        return "[red]grows[/red]"
    return "[yellow]in doubt: run longer[/yellow]" if growth.in_doubt else "steady"


if __name__ == "__main__":
    sys.exit(main())
