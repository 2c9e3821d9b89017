"""What `--find-capacity` and `--compare` found, for people."""

from __future__ import annotations

import math

from statehouse.scripts.load_test.capacity import CONFIRMING_ROUNDS, Capacity, Trial
from statehouse.scripts.load_test.compare import Comparison, Ratio
from statehouse.scripts.load_test.fail_if import RATE
from statehouse.scripts.terminal import console
from statehouse.scripts.terminal.console import seconds_text
from statehouse.scripts.terminal.escaping import Text
from statehouse.scripts.terminal.tables import Column, table_lines


def search_interruption(found: Capacity) -> str:
    """Return how far a search had come when it was interrupted."""
    held = "no rate" if found.rate_per_second is None else f"{found.rate_per_second:,g} requests per second"
    return f"interrupted: by then {held} had kept p99 within {seconds_text(found.p99_limit_seconds)}"


def comparison_interruption(found: Comparison) -> str:
    """Return how much there is of a comparison that was interrupted."""
    count = len(found.base)
    return f"interrupted after {count} whole round{'' if count == 1 else 's'} of each"


def print_capacity(found: Capacity) -> None:
    """Print the rate that was found; the rounds were told as they were."""
    limit = seconds_text(found.p99_limit_seconds)
    if found.interrupted:
        _warn(search_interruption(found))
    elif found.rate_per_second is None:
        console.say(Text.assemble(("✗ ", "red"), f"No rate keeps p99 within {limit}."))
    else:
        rate = f"{found.rate_per_second:,g} requests per second"
        told = f" with p99 within {limit}, confirmed in {CONFIRMING_ROUNDS} rounds"
        console.say(Text.assemble(("✓ ", "green"), (rate, "bold"), told))
    if found.generator_bound and not found.interrupted:
        _warn("the generator, and not the server, ended the search: more --processes may find more")


def print_round(trial: Trial, *, to_stdout: bool) -> None:
    """Print one round as it has been, while the search goes on."""
    mark = Text("  ✓ ", style="green") if trial.holds else Text("  ✗ ", style="yellow")
    latency = trial.latency
    figures = f"p50 {seconds_text(latency.p50_seconds):>8}  p99 {seconds_text(latency.p99_seconds):>8}"
    problem = f"  {trial.problem}{' (the generator was late)' if trial.generator_bound else ''}"
    line = mark + Text(f"{trial.rate_per_second:>9,g} per second  {figures}")
    console.say(
        line + Text("" if trial.holds else problem, style="yellow"), console.out if to_stdout else console.err
    )


def print_comparison(found: Comparison) -> None:
    """Print the ratio of every figure with its interval."""
    if found.interrupted:
        _warn(comparison_interruption(found))
    if not found.base:
        return
    failed = found.failed
    rounds = f"{len(found.base)} rounds each, in turn"
    console.say(Text.assemble((f"{found.other_name} beside {found.base_name}", "bold"), f", {rounds}"))
    columns = (
        *(Column("FIGURE"), Column(found.base_name, True), Column(found.other_name, True)),
        *(Column("RATIO", True), Column("95 % INTERVAL", dispensable=1), Column("")),
    )
    rows = [_ratio_row(each) for each in found.ratios]
    rows.append(["failed", f"{failed[0]:,}", f"{failed[1]:,}", "", "", ""])
    for line in table_lines(columns, rows, width=console.width_of(console.out)):
        console.out.print(line)
    if found.bottleneck:
        _warn(f"the generator may be what was measured: {found.bottleneck}")


def print_failures(failures: list[str]) -> None:
    """Print, to standard error, why a load has failed."""
    for each in failures:
        console.say(Text.assemble(("failed: ", "bold red"), each), console.err)


def _ratio_row(ratio: Ratio) -> list[str | Text]:
    values = [
        f"{value:,.1f}/s" if ratio.figure == RATE else seconds_text(value)
        for value in (ratio.base, ratio.other)
    ]
    high = "∞" if ratio.high == math.inf else f"{ratio.high:.3f}"
    verdict = Text("different", style="yellow") if ratio.differs else Text("no difference shown", style="dim")
    return [ratio.figure, *values, f"{ratio.ratio:.3f}×", f"{ratio.low:.3f} – {high}", verdict]


def _warn(words: str) -> None:
    console.say(Text("! ", style="bold yellow") + Text(words))
