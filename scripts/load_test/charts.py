"""The plots of a load over time, each an SVG whose colours the page's style gives: light and dark alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statehouse.scripts.charts.svg import Axis, element, line, path, rect, round_up, text
from statehouse.scripts.load_test.records import Floats
from statehouse.scripts.load_test.timeline import HeatMap, Series, Timeline
from statehouse.scripts.terminal.console import seconds_text

WIDTH, HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 20, 34
FAILURES_HEIGHT = 0.3  # of the plot, that the most failures of a slice reach
Band = tuple[float, float, str]  # from, to, label: the time of a command


def throughput_chart(timeline: Timeline, planned: Sequence[tuple[float, float]], band: Band | None) -> str:
    """Draw answers per second by version, what was ``planned`` (points of time and rate), and failures."""
    totals = [series.per_slice / timeline.slice_seconds for series in timeline.answers]
    failed = sum((series.per_slice for series in timeline.failures), np.zeros(timeline.count, np.int64))
    most = max([float(each.max()) for each in totals] + [rate for _, rate in planned] + [1.0])
    times = Axis(0, timeline.seconds, LEFT, WIDTH - RIGHT)
    rates = Axis(0, round_up(most * 1.05, (1, 2, 3, 4, 5, 6, 8)), HEIGHT - BOTTOM, TOP)
    parts = [_time_axis(times), value_axis(rates, "/s", "{:,g}".format), _band(times, band)]
    parts.append(_failure_bars(timeline, failed, times))
    if planned:
        parts.append(path([(times.at(at), rates.at(rate)) for at, rate in planned], class_="planned"))
    for index, (series, per_second) in enumerate(zip(timeline.answers, totals, strict=True)):
        parts.append(_steps(timeline, series, per_second, times, rates, index))
    return svg(parts, "Answers per second over time")


def heat_chart(timeline: Timeline, heat: HeatMap, band: Band | None) -> str:
    """Draw how long requests took by when they were due; the lines are p50 and p99 of each slice."""
    times = Axis(0, timeline.seconds, LEFT, WIDTH - RIGHT)
    latencies = latency_axis(heat.edges_seconds)
    most = math.log1p(int(heat.counts.max()))
    cells = []
    for slice_index, bucket in np.argwhere(heat.counts):
        count = int(heat.counts[slice_index, bucket])
        low, high = heat.edges_seconds[bucket], heat.edges_seconds[bucket + 1]
        x, right = (times.at((slice_index + part) * timeline.slice_seconds) for part in (0, 1))
        y, bottom = latencies.at(high), latencies.at(low)
        tip = (
            f"{count:,} from {seconds_text(low)} to {seconds_text(high)}, due at {_at(timeline, slice_index)}"
        )
        shade = f"{0.12 + 0.88 * math.log1p(count) / most:.2f}"
        cells.append(rect(x, y, right - x + 0.3, bottom - y + 0.3, tip, fill_opacity=shade))
    parts = [_time_axis(times), value_axis(latencies, "latency", seconds_text), _band(times, band)]
    parts.append(element("g", "".join(cells), class_="heat"))
    for name, values in (("p50", timeline.p50_seconds), ("p99", timeline.p99_seconds)):
        parts.append(path(_middles(timeline, values, times, latencies), class_=f"line {name}"))
    return svg(parts, "Latency over time")


def failure_chart(timeline: Timeline) -> str:
    """Draw one row per kind of failure: when they ended, and how many there are."""
    rows = timeline.failures
    row_height, left = 26, 190
    height = row_height * len(rows) + BOTTOM
    times = Axis(0, timeline.seconds, left, WIDTH - 90)
    parts = []
    for index, series in enumerate(rows):
        y = index * row_height
        parts.append(text(left - 10, y + 17, series.label, class_="tick", text_anchor="end"))
        parts.append(line(left, y + row_height - 3, WIDTH - 90, y + row_height - 3, class_="grid"))
        parts.append(text(WIDTH - RIGHT, y + 17, f"{series.total:,}", class_="total", text_anchor="end"))
        most = int(series.per_slice.max())
        for at in np.flatnonzero(series.per_slice):
            count = int(series.per_slice[at])
            x, right = (times.at((at + part) * timeline.slice_seconds) for part in (0, 1))
            tall = 4 + (row_height - 8) * count / most
            tip = f"{count:,} × {series.label} at {_at(timeline, at)}"
            parts.append(rect(x, y + row_height - 3 - tall, max(right - x, 2), tall, tip, class_="bad"))
    parts.append(_time_axis(times, height - BOTTOM, 0))
    return svg(parts, "Failures by kind over time", height)


def svg(parts: Iterable[str], label: str, height: float = HEIGHT) -> str:
    """Return a plot of its parts; ``label`` is for those who cannot see it."""
    return element("svg", "".join(parts), viewBox=f"0 0 {WIDTH} {height:g}", role="img", aria_label=label)


def _time_axis(times: Axis, bottom: float = HEIGHT - BOTTOM, top: float = TOP) -> str:
    parts = []
    for tick in times.ticks(10):
        x = times.at(tick)
        parts.append(line(x, top, x, bottom, class_="grid"))
        parts.append(text(x, bottom + 16, f"{tick:g}", class_="tick", text_anchor="middle"))
    return "".join(parts) + text(times.end, bottom + 31, "seconds", class_="unit", text_anchor="end")


def value_axis(values: Axis, name: str, told: Callable[[float], str]) -> str:
    """Return the rules and numbers of an upright axis."""
    parts = [text(LEFT - 8, TOP - 9, name, class_="unit", text_anchor="end")]
    for tick in values.ticks(7):
        y = values.at(tick)
        parts.append(line(LEFT, y, WIDTH - RIGHT, y, class_="grid"))
        parts.append(text(LEFT - 8, y + 4, told(tick), class_="tick", text_anchor="end"))
    return "".join(parts)


def latency_axis(seconds: Floats) -> Axis:
    """Return a logarithmic axis for durations."""
    low, high = float(seconds.min()), float(seconds.max())
    low = max(low, 1e-6)
    while high / low < 10:  # a decade at least: else noise fills the plot
        low, high = low / 1.3, high * 1.3
    return Axis(low, high, HEIGHT - BOTTOM, TOP, is_log=True)


def _band(times: Axis, band: Band | None) -> str:
    if band is None:
        return ""
    began, ended, label = band
    x, right = times.at(began), times.at(ended)
    on_the_left = x > (LEFT + WIDTH) / 2
    words = text(
        x - 6 if on_the_left else right + 6,
        TOP + 10,
        label,
        class_="mark",
        text_anchor="end" if on_the_left else "start",
    )
    return rect(x, TOP, max(right - x, 1), HEIGHT - TOP - BOTTOM, label, class_="band") + words


def _failure_bars(timeline: Timeline, failed: NDArray[np.int64], times: Axis) -> str:
    most = int(failed.max()) if len(failed) else 0
    bars = []
    for at in np.flatnonzero(failed):
        x, right = (times.at((at + part) * timeline.slice_seconds) for part in (0, 1))
        tall = max((HEIGHT - TOP - BOTTOM) * FAILURES_HEIGHT * int(failed[at]) / most, 2)
        tip = f"{int(failed[at]):,} failed at {_at(timeline, at)}"
        bars.append(rect(x, HEIGHT - BOTTOM - tall, max(right - x, 1), tall, tip, class_="bad"))
    return "".join(bars)


def _steps(
    timeline: Timeline, series: Series, per_second: Floats, times: Axis, rates: Axis, index: int
) -> str:
    points: list[tuple[float, float]] = []
    seen = np.flatnonzero(series.per_slice)
    for at in range(int(seen[0]), int(seen[-1]) + 1):
        y = rates.at(float(per_second[at]))
        points += [(times.at((at + part) * timeline.slice_seconds), y) for part in (0, 1)]
    base = rates.at(0)
    edges = [(points[0][0], base), *points, (points[-1][0], base)]
    return path(edges, class_=f"area c{index}") + path(edges, class_=f"line c{index}")


def _middles(
    timeline: Timeline, values: Floats, times: Axis, latencies: Axis
) -> list[tuple[float, float] | None]:
    return [
        None if math.isnan(value) else (times.at((at + 0.5) * timeline.slice_seconds), latencies.at(value))
        for at, value in enumerate(values.tolist())
    ]


def _at(timeline: Timeline, index: int | np.integer[Any]) -> str:
    return f"{index * timeline.slice_seconds:g} s"
