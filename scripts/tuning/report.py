"""What `statehouse tune` says in the end: every candidate in a table, then the choice and its gain."""

from __future__ import annotations

import math

from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenLoop
from statehouse.scripts.terminal.console import out, say, seconds_text, width_of
from statehouse.scripts.terminal.escaping import Text
from statehouse.scripts.terminal.tables import Column, table_lines
from statehouse.scripts.tuning.bench import told
from statehouse.scripts.tuning.choice import MIN_GAIN, Measured
from statehouse.scripts.tuning.result import TuneResult


def print_result(result: TuneResult) -> None:
    """Print the table and the verdict."""
    say(Text.assemble((f"{result.name} {result.version}", "bold"), f", {_loads_text(result)}"))
    rows = [_row(result, each) for each in result.found]
    for line in table_lines(_columns(result), rows, width=width_of(out)):
        out.print(line)
    of = (
        ""
        if len(result.loads) == 1 or result.goal.p99_limit_seconds
        else ", the geometric mean over the loads"
    )
    limit = f"P99 limit: {seconds_text(result.limit_seconds)}{of}"
    if result.goal.p99_limit_seconds is None:
        limit += "; twice the lowest, as no --p99-ms was given"
    say(
        Text(
            f"{limit}. Medians of the rounds; BATCH: the most requests of one; WORKERS × threads", style="dim"
        )
    )
    say(_verdict(result))
    if result.bottleneck:
        say(
            Text.assemble(
                ("! ", "bold yellow"), f"the generator may be what was measured: {result.bottleneck}"
            )
        )


def _loads_text(result: TuneResult) -> str:
    seconds = f"{result.loads[0].duration_seconds:g} s a round"
    counts = [load.connections for load in result.loads if isinstance(load, ClosedLoop)]
    if not counts:
        rates = [load.rate_per_second for load in result.loads if isinstance(load, OpenLoop)]
        return f"{rates[0]:,g} requests per second, {seconds}"
    plural = "s" if counts != [1] else ""
    return f"{', '.join(map(str, counts))} connection{plural}, {seconds}"


def _columns(result: TuneResult) -> list[Column]:
    several = len(result.loads) > 1
    rates = [
        Column(f"{load.connections} CONN" if several and isinstance(load, ClosedLoop) else "REQUESTS/S", True)
        for load in result.loads
    ]
    return [
        *(Column("BATCH", True), Column("WORKERS")),
        *rates,
        *(
            Column("P50", True, dispensable=2),
            Column("P99", True),
            Column("WITHIN", dispensable=1),
            Column(""),
        ),
    ]


def _row(result: TuneResult, measured: Measured) -> list[str | Text]:
    settings = measured.settings
    head: list[str | Text] = [
        str(settings.batch_size),
        ", ".join([f"{settings.workers} × {settings.threads}", *settings.optimizations]),
    ]
    mark = _mark(result, measured)
    if measured.problem is not None:
        return [
            *head,
            *["-"] * (len(result.loads) + 2),
            Text("no", style="red"),
            Text("not run", style="red"),
        ]
    goal, figures = result.goal, measured.figures
    within = goal.is_within(figures, result.limit_seconds)
    p50 = max(each.p50_seconds for each in figures)
    cells = [
        *(f"{each.requests_per_second:,.0f}" for each in figures),
        *(seconds_text(p50), seconds_text(goal.p99_seconds(figures))),
    ]
    failed = sum(each.failed for each in figures)
    verdict = Text("yes", style="green") if within else Text("no", style="yellow")
    return [*head, *cells, verdict, Text.assemble(mark, (f"{failed:,} failed" if failed else "", "red"))]


def _mark(result: TuneResult, measured: Measured) -> Text:
    marks = []
    if measured is result.chosen:
        marks.append("← best")
    if measured is result.present:
        marks.append("(present)")
    return Text(" ".join(marks), style="bold" if measured is result.chosen else "dim")


def _verdict(result: TuneResult) -> Text:
    if result.chosen is None:
        return Text.assemble(("✗ ", "red"), f"{_nothing_within(result)}: the present settings stay.")
    chosen = told(result.chosen.settings)
    if result.second_run is None:
        if result.chosen is result.present:
            return Text("The present settings are the best that was found: they stay.")
        return Text(
            f"The best, {chosen}, gave {_times(result, result.first_gain)} {_figure(result)} of the present settings: "
            f"a gain below {MIN_GAIN - 1:.0%} is not worth a change, and the present settings stay."
        )
    gain = _times(result, result.second_run.gain(result.goal))
    measured = f"in a second run ({_pair_text(result)})"
    if not result.confirmed:
        return Text(
            f"{chosen} gave {_times(result, result.first_gain)} {_figure(result)} of the present settings at first, "
            f"but {gain} {measured}: the present settings stay."
        )
    fate = "Written to the deployment." if result.written else "Nothing was written (--dry-run)."
    return Text.assemble(
        ("✓ ", "green"), (chosen, "bold"), f": {gain} {_figure(result)} of before {measured}. {fate}"
    )


def _nothing_within(result: TuneResult) -> str:
    goal = result.goal
    sound = [each for each in result.found if goal.score(each.figures)]
    if not sound:
        return "Every candidate lost requests or fell behind"
    best = min(sound, key=lambda each: goal.p99_seconds(each.figures))
    return f"No candidate is within the limit; {told(best.settings)} came closest"


def _times(result: TuneResult, gain: float) -> str:
    if result.goal.rate_per_second is not None:
        gain = 1 / gain if gain else math.inf
    return f"{gain:.2f} ×"


def _figure(result: TuneResult) -> str:
    return "the requests/s" if result.goal.rate_per_second is None else "the p99"


def _pair_text(result: TuneResult) -> str:
    second = result.second_run
    if second is None:
        return ""
    if result.goal.rate_per_second is not None:
        told_p99 = [
            seconds_text(result.goal.p99_seconds(each.figures)) for each in (second.chosen, second.present)
        ]
        return " to ".join(told_p99)
    sides = [
        ", ".join(f"{each.requests_per_second:,.0f}" for each in side.figures)
        for side in (second.chosen, second.present)
    ]
    return f"{' to '.join(sides)}; p99 {seconds_text(result.goal.p99_seconds(second.chosen.figures))}"
