"""`--html`: what a load found, as one self-contained page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from statehouse.scripts.errors import CommandError
from statehouse.scripts.load_test import charts, charts_of_figures
from statehouse.scripts.load_test.arrivals import ClosedLoop, Constant, OpenLoop, Ramp
from statehouse.scripts.load_test.during import DuringResult
from statehouse.scripts.load_test.histogram import Latency
from statehouse.scripts.load_test.page import chart, facts, heading, note, page, section, table, tiles
from statehouse.scripts.load_test.phases import ALL, PHASES
from statehouse.scripts.load_test.records import Floats
from statehouse.scripts.load_test.report import arrivals_text
from statehouse.scripts.load_test.result import LoadResult
from statehouse.scripts.load_test.timeline import Timeline, timeline_of
from statehouse.scripts.terminal.console import seconds_text

MOST_CURVES = 4
_PERCENTILES = ("P50", "P90", "P99", "P99.9", "MAX")


def write_page(file: Path, content: str) -> None:
    """Write a page; CommandError when that cannot be."""
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--html {file} cannot be written: {error.strerror or error}.") from error


def load_page(
    target: str,
    result: LoadResult,
    environment: Mapping[str, str],
    during: DuringResult | None = None,
    failures: Sequence[str] = (),
) -> str:
    """Return the page of one load."""
    seconds = max(result.plan.arrivals.duration_seconds, result.elapsed_seconds)
    timeline = timeline_of(result.records, seconds)
    band = (during.began_seconds, during.ended_seconds, during.command) if during else None
    parts = [
        heading(f"Load test of {target}", arrivals_text(result.plan), f"{result.plan.url} · {when(result)}"),
        tiles(_tiles(result)),
        *_remarks(result, during, failures),
        _throughput(result, timeline, band),
    ]
    if timeline.heat is not None:
        keys = [("c0", "answers: the darker, the more"), ("p50", "p50"), ("p99", "p99")]
        heat = chart(charts.heat_chart(timeline, timeline.heat, band))
        parts += [
            section("Latency over time", heat, keys=keys, remark="By when each request was due."),
            percentiles_section(_curves(result, during)),
        ]
    parts += [_failures(result, timeline), *_phases(during), *_versions(result), generator_section(result)]
    return page(f"Load test of {target}", [*parts, section("Environment", facts(environment))])


def _tiles(result: LoadResult) -> list[tuple[str, str, str]]:
    latency = result.latency
    return [
        ("answers per second", f"{result.answers_per_second:,.1f}", ""),
        ("answered well", _share(result), "bad" if result.failed else "good"),
        ("failed", f"{result.failed:,}", "bad" if result.failed else "good"),
        ("p50", seconds_text(latency.p50_seconds), ""),
        ("p99", seconds_text(latency.p99_seconds), ""),
        ("slowest", seconds_text(latency.max_seconds), ""),
        ("longest gap", seconds_text(result.longest_gap_seconds), ""),
    ]


def _share(result: LoadResult) -> str:
    if not result.failed:
        return "100 %"
    return f"{min(1 - result.failed / max(result.planned, 1), 0.99999):.3%}".replace("%", " %")


def _remarks(result: LoadResult, during: DuringResult | None, failures: Sequence[str]) -> list[str]:
    found = [note(f"Failed: {each}", "bad") for each in failures]
    if during is not None:
        took = f"from {during.began_seconds:.2f} to {during.ended_seconds:.2f} s"
        if during.exit_code:
            found.append(
                note(f"{during.command}: failed with {during.exit_code}, {took}. {during.output}", "bad")
            )
        else:
            found.append(note(f"{during.command}: done, {took}.", "good"))
    if result.interrupted:
        found.append(note("It was interrupted: what was due later is not counted."))
    if result.generator.bottleneck:
        found.append(note(f"The generator may be what was measured: {result.generator.bottleneck}"))
    return found


def _throughput(result: LoadResult, timeline: Timeline, band: charts.Band | None) -> str:
    keys = [(f"c{index % MOST_CURVES}", each.label) for index, each in enumerate(timeline.answers)]
    planned = _planned(
        result.plan.arrivals, timeline.seconds if band else result.plan.arrivals.duration_seconds
    )
    keys += [("planned", "planned")] if planned else []
    keys += [("bad", "failed, on a scale of its own")] if timeline.failures else []
    keys += [("band", band[2])] if band else []
    svg = charts.throughput_chart(timeline, planned, band)
    remark = f"Answers of 2xx by version, in slices of {timeline.slice_seconds:g} s."
    return section("Throughput over time, answers per second", chart(svg), keys=keys, remark=remark)


def _planned(arrivals: OpenLoop | ClosedLoop, constant_until: float) -> list[tuple[float, float]]:
    if isinstance(arrivals, ClosedLoop):
        return []
    end = arrivals.duration_seconds
    if isinstance(arrivals.pattern, Ramp):
        return [(0.0, arrivals.rate_per_second), (end, arrivals.pattern.to_per_second)]
    if type(arrivals.pattern) is Constant:
        return [(0.0, arrivals.rate_per_second), (constant_until, arrivals.rate_per_second)]
    offsets = np.array(arrivals.offsets_seconds())
    counts, edges = np.histogram(offsets, bins=60, range=(0.0, end))
    middles = (edges[:-1] + edges[1:]) / 2
    return list(zip(middles.tolist(), (counts * 60 / end).tolist(), strict=True))


def _curves(result: LoadResult, during: DuringResult | None) -> list[tuple[str, Floats]]:
    records = result.records
    answered = records.answered
    if during is None:
        versions = [(each or "(none named)", records.of_version(each)) for each in records.versions()]
        masks = versions[:MOST_CURVES]
    else:
        bounds = (-np.inf, during.began_seconds, during.ended_seconds, np.inf)
        masks = [
            (name, answered & (records.due >= start) & (records.due < end))
            for name, start, end in zip(PHASES, bounds, bounds[1:], strict=False)
        ]
    return [(label, records.seconds[mask]) for label, mask in masks if mask.any()]


def percentiles_section(curves: Sequence[tuple[str, Floats]]) -> str:
    """Return the percentiles of durations, a curve each."""
    keys = [(f"c{index}", label) for index, (label, _) in enumerate(curves)]
    remark = "Both axes are logarithmic; a curve ends where too few requests are left to say more."
    return section(
        "Latency percentiles", chart(charts_of_figures.percentile_chart(curves)), keys=keys, remark=remark
    )


def _failures(result: LoadResult, timeline: Timeline) -> str:
    if not timeline.failures:
        well = f"None: every one of {result.planned:,} requests was answered with a 2xx."
        return section("Failures by kind", f'<p class="dim">{well}</p>')
    return section("Failures by kind", chart(charts.failure_chart(timeline)))


def _phases(during: DuringResult | None) -> list[str]:
    if during is None:
        return []
    rows = [
        (
            each.name,
            each.version or "(none named)",
            f"{each.requests:,}",
            f"{each.failed:,}",
            *_cells(each.latency),
        )
        for each in during.phases
    ]
    headings = ("PHASE", "VERSION", "REQUESTS", "FAILED", *_PERCENTILES)
    sums = {index for index, each in enumerate(during.phases) if each.version == ALL}
    return [
        section(f"Before, during and after “{during.command}”", table(headings, rows, texts=2, sums=sums))
    ]


def _versions(result: LoadResult) -> list[str]:
    if not result.versions:
        return []
    rows = [
        (each.version or "(none named)", f"{each.answers:,}", _statuses(each.statuses), *_cells(each.latency),
         seconds_text(each.longest_gap_seconds),
         f"{each.first_intended_send_seconds:.2f} – {each.last_sent_seconds:.2f} s")
        for each in result.versions
    ]  # fmt: skip
    if len(rows) > 1:
        everything = (*_cells(result.latency), seconds_text(result.longest_gap_seconds), "")
        rows.append(("all", f"{result.answered:,}", _statuses(result.statuses), *everything))
    headings = ("VERSION", "ANSWERS", "STATUS", *_PERCENTILES, "LONGEST GAP", "SENT")
    return [section("By version", table(headings, rows, sums={len(rows) - 1} if len(rows) > 1 else ()))]


def generator_section(result: LoadResult) -> str:
    """Return whether the generator kept up."""
    generator = result.generator
    late = generator.lateness
    lost = (
        f", {result.connections_lost:,} lost, {result.reconnects:,} made again"
        if result.connections_lost
        else ""
    )
    waited = f"{result.waited:,} requests, {seconds_text(result.longest_wait_seconds)} at most"
    return section(
        "The generator",
        facts(
            {
                "how late it was": f"{seconds_text(late.p50_seconds)} at p50, {seconds_text(late.p99_seconds)} at p99",
                "processor": ", ".join(f"{share:.0%}" for share in generator.cpu_shares) + " of a core each",
                "connections": f"{result.connections_opened:,} opened{lost}",
                "waited for a connection": waited if result.waited else "none",
                "verdict": generator.bottleneck or "it kept up: the figures are the server's",
            }
        ),
    )


def _statuses(statuses: Mapping[int, int]) -> str:
    if len(statuses) == 1:
        return str(next(iter(statuses)))
    return ", ".join(f"{status} × {count:,}" for status, count in statuses.items())


def _cells(latency: Latency) -> tuple[str, ...]:
    values = (
        latency.p50_seconds,
        latency.p90_seconds,
        latency.p99_seconds,
        latency.p99_9_seconds,
        latency.max_seconds,
    )
    return tuple(seconds_text(value) for value in values)


def when(result: LoadResult) -> str:
    """Return when a load began, by this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(result.started_unix_seconds))
