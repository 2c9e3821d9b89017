"""A load's progress while it runs and its result, for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from scripts import console
from scripts.console import seconds_text
from scripts.load_test.arrivals import OpenLoop
from scripts.load_test.histogram import Latency
from scripts.load_test.plan import LoadPlan
from scripts.load_test.progress import LoadProgress
from scripts.load_test.result import LoadResult, VersionAnswers

SHORT_SECONDS = 2.0  # a load that is over sooner needs no progress bar
_COLUMNS = ("VERSION", "ANSWERS", "STATUS", "P50", "P90", "P99", "P99.9", "MAX", "SENT")


class LiveProgress:
    """A bar on the terminal, on standard error; nothing where that is no terminal, or the load is short."""

    def __init__(self, plan: LoadPlan, *, shown: bool) -> None:
        self._duration_seconds = plan.arrivals.duration_seconds
        self._shown = shown and console.err.is_terminal and self._duration_seconds > SHORT_SECONDS
        self._bar = Progress(
            BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn(), console=console.err,
            transient=True, auto_refresh=False,
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=self._duration_seconds)

    def __enter__(self) -> Self:
        if self._shown:
            self._bar.start()
        return self

    def show(self, progress: LoadProgress) -> None:
        """Show where the load stands."""
        if not self._shown:
            return
        text = f"{progress.answered:,} of {progress.sent:,} sent answered"
        bad = progress.failed + progress.unsent
        if bad:
            text += f" · [red]{bad:,} without an answer[/red]"
        done = min(progress.elapsed_seconds, self._duration_seconds)
        self._bar.update(self._task, completed=done, description=text, refresh=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._bar.stop()


def print_result(result: LoadResult) -> None:
    """Print what a load found: the verdict, latency by version, then everything that was counted."""
    console.out.print(_headline(result))
    if result.answered:
        console.out.print(_latency_table(result), soft_wrap=False)
    console.out.print(_fact_table(result), soft_wrap=False)
    if result.generator.bottleneck:
        warning = "the generator may be what was measured: "
        console.out.print(Text("! ", style="bold yellow") + Text(warning + result.generator.bottleneck))


def _headline(result: LoadResult) -> Text:
    good = result.planned - result.failed
    style, mark = ("green", "✓ ") if not result.failed else ("red", "✗ ")
    line = Text.assemble((mark, style), (f"{good:,} of {result.planned:,} answered well", "bold"))
    if result.failed:
        line.append(f", {result.failed:,} not", style="bold red")
    line.append(f" · {result.answers_per_second:,.1f} answers/s")
    if result.interrupted:
        line.append(" · interrupted", style="yellow")
    return line.append(f"\n  {_load_text(result.plan)} · {result.plan.url}", style="dim")


def _load_text(plan: LoadPlan) -> str:
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
            "all", f"{result.answered:,}", statuses, *_percentiles(result.latency), "", style="bold"
        )
    return table


def _version_row(version: VersionAnswers) -> tuple[str | Text, ...]:
    return (
        version.version or "(none named)",
        f"{version.answers:,}",
        _status_text(version.statuses),
        *_percentiles(version.latency),
        f"{version.first_intended_send_seconds:.2f} – {version.last_sent_seconds:.2f} s",
    )


def _status_text(statuses: Mapping[int, int]) -> Text:
    parts = [
        Text.assemble(
            (str(status), "green" if 200 <= status < 300 else "red"),
            f" × {count:,}" if len(statuses) > 1 else "",
        )
        for status, count in statuses.items()
    ]
    return Text(", ").join(parts)


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
    return f"{late}, {result.generator.cpu_share:.0%} of one core"
