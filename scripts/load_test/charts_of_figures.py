"""The plots of a load's figures: percentiles, rates with their p99, ratios of two versions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from statehouse.scripts.charts.svg import Axis, circle, element, line, path, text
from statehouse.scripts.load_test.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    latency_axis,
    svg,
    value_axis,
)
from statehouse.scripts.load_test.records import Floats
from statehouse.scripts.load_test.timeline import latency_points
from statehouse.scripts.terminal.console import seconds_text

PERCENTILES = (*range(0, 90, 2), *(90 + tenth / 2 for tenth in range(20)), *(99.5, 99.75, 99.9, 99.95, 99.99))
_NINES = ((0.0, "0"), (50.0, "50"), (90.0, "90"), (99.0, "99"), (99.9, "99.9"), (99.99, "99.99"))


def percentile_chart(curves: Sequence[tuple[str, Floats]]) -> str:
    """Draw the percentiles of each curve's durations: nines across, time upwards, both logarithmic."""
    highest = _highest_percentile(max(len(seconds) for _, seconds in curves))
    shown = [each for each in PERCENTILES if each <= highest]
    points = [latency_points(seconds, shown) for _, seconds in curves]
    latencies = latency_axis(np.array([value for each in points for value in each]))
    across = Axis(0, -math.log10(1 - highest / 100), LEFT, WIDTH - RIGHT)
    parts = [value_axis(latencies, "latency", seconds_text)]
    for percentile, label in _NINES:
        if percentile <= highest:
            x = across.at(_nines(percentile))
            parts.append(line(x, TOP, x, HEIGHT - BOTTOM, class_="grid"))
            parts.append(text(x, HEIGHT - BOTTOM + 16, label, class_="tick", text_anchor="middle"))
    parts.append(text(WIDTH - RIGHT, HEIGHT - 3, "percentile", class_="unit", text_anchor="end"))
    for index, ((label, seconds), values) in enumerate(zip(curves, points, strict=True)):
        reach = _highest_percentile(len(seconds))
        kept = [(each, value) for each, value in zip(shown, values, strict=True) if each <= reach]
        parts.append(
            path(
                [(across.at(_nines(each)), latencies.at(value)) for each, value in kept],
                class_=f"line c{index}",
            )
        )
        parts += [
            circle(
                across.at(_nines(each)),
                latencies.at(value),
                3,
                f"{label}: p{each:g} {seconds_text(value)}",
                class_=f"dot c{index}",
            )
            for each, value in kept
            if each in dict(_NINES) and each
        ]
    return svg(parts, "Latency percentiles")


def capacity_chart(
    rounds: Sequence[tuple[float, float, bool, str]], limit_seconds: float, found: float | None
) -> str:
    """Draw rounds as points of rate and p99, both logarithmic; those that did not hold are crosses."""
    rates = [rate for rate, *_ in rounds]
    across = Axis(min(rates) * 0.85, max(rates) * 1.18, LEFT, WIDTH - RIGHT, is_log=True)
    latencies = latency_axis(
        np.array([*(p99 for _, p99, *_ in rounds), limit_seconds * 0.8, limit_seconds * 1.25])
    )
    parts = [value_axis(latencies, "p99", seconds_text)]
    for rate in across.ticks(9):
        x = across.at(rate)
        parts.append(text(x, HEIGHT - BOTTOM + 16, f"{rate:,g}", class_="tick", text_anchor="middle"))
    parts.append(text(WIDTH - RIGHT, HEIGHT - 3, "requests per second", class_="unit", text_anchor="end"))
    y = latencies.at(limit_seconds)
    parts.append(line(LEFT, y, WIDTH - RIGHT, y, class_="limit"))
    parts.append(text(LEFT + 6, y - 5, f"limit {seconds_text(limit_seconds)}", class_="unit"))
    if found is not None:
        x = across.at(found)
        parts.append(line(x, TOP, x, HEIGHT - BOTTOM, class_="found"))
        parts.append(text(x + 7, HEIGHT - BOTTOM - 7, f"{found:,g} per second", class_="mark"))
    for rate, p99, holds, tip in rounds:
        x, y = across.at(rate), latencies.at(p99)
        if holds:
            parts.append(circle(x, y, 5, tip, class_="dot c0"))
        else:
            cross = path(
                [(x - 4, y - 4), (x + 4, y + 4), None, (x - 4, y + 4), (x + 4, y - 4)], class_="cross"
            )
            parts.append(element("g", element("title", tip) + cross))
    return svg(parts, "p99 by rate")


def ratio_chart(rows: Sequence[tuple[str, float, float, float, bool]]) -> str:
    """Draw ratios with their intervals, one row each, around 1: no difference."""
    row_height, left = 34, 110
    height = row_height * len(rows) + BOTTOM
    finite = [value for row in rows for value in row[1:4] if 0 < value < math.inf]
    reach = max([max(value, 1 / value) for value in finite] + [1.1]) * 1.03
    across = Axis(1 / reach, reach, left, WIDTH - RIGHT, is_log=True)
    parts = []
    for value in across.ticks(7) if reach > 2.5 else (0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2):
        if across.low <= value <= across.high:
            x = across.at(value)
            kind = "found" if value == 1 else "grid"
            parts.append(line(x, 0, x, height - BOTTOM, class_=kind))
            parts.append(text(x, height - BOTTOM + 16, f"{value:g}×", class_="tick", text_anchor="middle"))
    for index, (label, ratio, low, high, differs) in enumerate(rows):
        y = index * row_height + row_height / 2
        kind = "c1" if differs else "c0"
        parts.append(text(left - 12, y + 4, label, class_="tick", text_anchor="end"))
        parts.append(
            line(across.at(max(low, across.low)), y, across.at(high), y, class_=f"line thick {kind}")
        )
        parts.append(
            circle(across.at(ratio), y, 6, f"{ratio:.3f}, {low:.3f} to {high:.3f}", class_=f"dot {kind}")
        )
    return svg(parts, "Ratios with 95 % confidence intervals", height)


def _nines(percentile: float) -> float:
    return -math.log10(1 - percentile / 100)


def _highest_percentile(count: int) -> float:
    """Return the last percentile that so many durations say anything of."""
    return max([each for each in PERCENTILES if (1 - each / 100) * count >= 1], default=50.0)
