"""A load's progress while it runs and its result, for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from statehouse.scripts.load_test.arrivals import OpenLoop
from statehouse.scripts.load_test.during import DuringResult
from statehouse.scripts.load_test.histogram import Latency
from statehouse.scripts.load_test.phases import ALL, Phase
from statehouse.scripts.load_test.plan import LoadPlan
from statehouse.scripts.load_test.progress import LoadProgress
from statehouse.scripts.load_test.result import LoadResult, VersionAnswers
from statehouse.scripts.terminal import console
from statehouse.scripts.terminal.console import seconds_text
from statehouse.scripts.terminal.escaping import Text
from statehouse.scripts.terminal.tables import Column, table_lines

SHORT_SECONDS = 2.0  # a load that is over sooner needs no progress bar
_COLUMNS = ("VERSION", "ANSWERS", "STATUS", "P50", "P90", "P99", "P99.9", "MAX", "GAP", "SENT")
_PHASE_COLUMNS = (
    *(Column("PHASE"), Column("VERSION"), Column("REQUESTS", True), Column("FAILED", True)),
    *(Column("P50", True), Column("P90", True, dispensable=1), Column("P99", True), Column("MAX", True)),
)


class LiveProgress:
    """A bar on the terminal, on standard error; nothing where that is no terminal, or the load is short."""

    def __init__(self, plan: LoadPlan, title: str = "") -> None:
        self._title = f"{title} · " if title else ""
        self._duration_seconds = plan.arrivals.duration_seconds
        self._shown = console.err.is_terminal and self._duration_seconds > SHORT_SECONDS
        self._bar = Progress(
            BarColumn(bar_width=20), TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[bad]}", style="red", markup=False), TimeRemainingColumn(),
            console=console.err, transient=True, auto_refresh=False,
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=self._duration_seconds, bad="")

    def __enter__(self) -> Self:
        if self._shown:
            self._bar.start()
        return self

    def show(self, progress: LoadProgress) -> None:
        """Show where the load stands."""
        if not self._shown:
            return
        seconds = progress.elapsed_seconds
        text = f"{self._title}{progress.answered:,} of {progress.sent:,} sent answered"
        if seconds > 0:
            text += f" · {progress.answered / seconds:,.0f}/s"
        if progress.recent_p99_seconds is not None:
            text += f" · p99 now {seconds_text(progress.recent_p99_seconds)}"
        failed = progress.failed + progress.unsent
        bad = f"{failed:,} without an answer" if failed else ""
        done = min(progress.elapsed_seconds, self._duration_seconds)
        self._bar.update(self._task, completed=done, description=text, bad=bad, refresh=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._bar.stop()


def print_result(result: LoadResult) -> None:
    """Print what a load found: the verdict, latency by version, then everything that was counted."""
    console.out.print(_headline(result))
    console.out.print(Text(f"  {arrivals_text(result.plan)} · {result.plan.url}", style="dim"))
    if result.answered:
        console.out.print(_latency_table(result), soft_wrap=False)
    console.out.print(_fact_table(result), soft_wrap=False)
    if result.generator.bottleneck:
        warning = "the generator may be what was measured: "
        console.out.print(Text("! ", style="bold yellow") + Text(warning + result.generator.bottleneck))


def print_during(during: DuringResult) -> None:
    """Print what the command did, and what each version answered before, during and after it."""
    good = not during.exit_code
    mark = ("✓ ", "green") if good else ("✗ ", "red")
    how = "done" if good else f"failed with {during.exit_code}"
    took = f" {how}, from {during.began_seconds:.2f} to {during.ended_seconds:.2f} s"
    console.say(Text.assemble(mark, (during.command, "bold"), took))
    if not good:
        console.say_message(("", ""), during.output, style="red")
    rows = [_phase_row(phase) for phase in during.phases]
    for line in table_lines(_PHASE_COLUMNS, rows, width=console.width_of(console.out)):
        console.out.print(line)


def _phase_row(phase: Phase) -> list[str | Text]:
    style = "bold" if phase.version == ALL else ""
    latency = phase.latency
    values = (latency.p50_seconds, latency.p90_seconds, latency.p99_seconds, latency.max_seconds)
    cells = (phase.version or "(none named)", f"{phase.requests:,}")
    failed = Text(f"{phase.failed:,}", style="red" if phase.failed else style)
    return [
        phase.name,
        *(Text(cell, style=style) for cell in cells),
        failed,
        *(Text(seconds_text(value), style=style) for value in values),
    ]


def _headline(result: LoadResult) -> Text:
    good = result.planned - result.failed
    style, mark = ("green", "✓ ") if not result.failed else ("red", "✗ ")
    line = Text.assemble((mark, style), (f"{good:,} of {result.planned:,} answered well", "bold"))
    if result.failed:
        line.append(f", {result.failed:,} not", style="bold red")
    line.append(f" · {result.answers_per_second:,.1f} answers/s")
    if result.interrupted:
        planned = result.plan.arrivals.duration_seconds
        line.append(f" · interrupted after {result.elapsed_seconds:.1f} of {planned:g} s", style="yellow")
    return line


def arrivals_text(plan: LoadPlan) -> str:
    """Return when a load's requests are due, for people."""
    arrivals = plan.arrivals
    seconds = f"{arrivals.duration_seconds:g} s"
    if isinstance(arrivals, OpenLoop):
        return f"open loop, {arrivals.told} for {seconds}, latency from intended sends"
    return f"closed loop, {arrivals.told} for {seconds}, latency from actual sends"


def _latency_table(result: LoadResult) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in _COLUMNS:
        left = heading in ("VERSION", "STATUS", "SENT")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for version in result.versions:
        table.add_row(*_version_row(version))
    if len(result.versions) > 1:
        statuses = _status_text(result.statuses)
        table.add_row(
            "all",
            f"{result.answered:,}",
            statuses,
            *_percentiles(result.latency),
            seconds_text(result.longest_gap_seconds),
            "",
            style="bold",
        )
    return table


def _version_row(version: VersionAnswers) -> tuple[str | Text, ...]:
    return (
        version.version or "(none named)",
        f"{version.answers:,}",
        _status_text(version.statuses),
        *_percentiles(version.latency),
        seconds_text(version.longest_gap_seconds),
        f"{version.first_intended_send_seconds:.2f} – {version.last_sent_seconds:.2f} s",
    )


def _status_text(statuses: Mapping[int, int]) -> Text:
    line = Text()
    for status, count in statuses.items():
        line.append(", " if line else "").append(str(status), "green" if 200 <= status < 300 else "red")
        line.append(f" × {count:,}" if len(statuses) > 1 else "")
    return line


def _percentiles(latency: Latency) -> tuple[str, ...]:
    return tuple(
        seconds_text(value)
        for value in (
            *(latency.p50_seconds, latency.p90_seconds, latency.p99_seconds),
            *(latency.p99_9_seconds, latency.max_seconds),
        )
    )


def _fact_table(result: LoadResult) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(result):
        table.add_row(name, value)
    return table


def _facts(result: LoadResult) -> list[tuple[str, str | Text]]:
    gap = f"{seconds_text(result.longest_gap_seconds)}, from {result.longest_gap_began_seconds:.2f} s on"
    facts: list[tuple[str, str | Text]] = [("longest gap without an answer", gap)]
    if result.slowest_intended_send_seconds is not None:
        slowest = seconds_text(result.latency.max_seconds)
        facts.append(("slowest answer", f"{slowest}, due at {result.slowest_intended_send_seconds:.2f} s"))
    if result.errors:
        kinds = ", ".join(f"{kind.replace('_', ' ')} × {count:,}" for kind, count in result.errors.items())
        facts.append(("without an answer", Text(kinds, style="red")))
    if result.unsent:
        facts.append(("never sent", Text(f"{result.unsent:,}: no connection was free in time", style="red")))
    if result.waited:
        waited = f"{result.waited:,} requests, {seconds_text(result.longest_wait_seconds)} at most"
        facts.append(("waited for a connection", waited))
    lost = f", {result.connections_lost:,} lost, {result.reconnects:,} made again"
    connections = f"{result.connections_opened:,} opened" + (lost if result.connections_lost else "")
    return [*facts, ("connections", connections), ("generator", _generator_text(result))]


def _generator_text(result: LoadResult) -> str:
    lateness = result.generator.lateness
    late = f"{seconds_text(lateness.p50_seconds)} late at p50, {seconds_text(lateness.p99_seconds)} at p99"
    shares = result.generator.cpu_shares
    if len(shares) == 1:
        return f"{late}, {shares[0]:.0%} of one core"
    return f"{late}, {len(shares)} processes, {', '.join(f'{share:.0%}' for share in shares)} of a core"
