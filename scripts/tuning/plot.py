"""A plot of what `statehouse tune` found, as SVG: throughput and p99 of every candidate, one panel for each load."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from statehouse.scripts.charts.svg import Axis, circle, element, line, round_up, text
from statehouse.scripts.errors import CommandError
from statehouse.scripts.load_test.arrivals import ClosedLoop
from statehouse.scripts.tuning.bench import told
from statehouse.scripts.tuning.choice import Figures, Measured
from statehouse.scripts.tuning.result import TuneResult

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 420, 320, 62, 50, 30, 48  # of a panel, in pixels
PANELS_BESIDE, LEAST_WIDTH, LEGEND_HEIGHT = 3, 680, 50
COLOURS = {"best": "#0b6e4f", "present": "#d1495b", "other": "#9aa5b1"}
STYLE = "text{font:12px sans-serif;fill:#333}.small{font-size:11px;fill:#666}.axis{stroke:#bbb}"


def write_plot(path: Path, result: TuneResult) -> None:
    """Write the plot; CommandError when the file cannot be written."""
    try:
        path.write_text(svg_of(result), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--plot {path} cannot be written: {error.strerror or error}.") from error


def svg_of(result: TuneResult) -> str:
    """Return the plot: the best and the present settings in colour, the others grey with their names as tooltips."""
    panels = "".join(_panel(result, index) for index in range(len(result.loads)))
    rows = math.ceil(len(result.loads) / PANELS_BESIDE)
    panels_height = HEIGHT * rows
    width = max(WIDTH * min(len(result.loads), PANELS_BESIDE), LEAST_WIDTH)
    height = panels_height + LEGEND_HEIGHT
    legend = "".join(
        f'<circle cx="{LEFT + 8}" cy="{panels_height + 8 + 20 * row}" r="5" fill="{COLOURS[kind]}"/>'
        f'<text x="{LEFT + 20}" y="{panels_height + 12 + 20 * row}">{kind}: {escape(told(measured.settings))}</text>'
        for row, (kind, measured) in enumerate(_marked(result).items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="white"/>{panels}{legend}</svg>\n'
    )


def _marked(result: TuneResult) -> dict[str, Measured]:
    marked = {"present": result.present}
    if result.chosen is not None and result.chosen is not result.present:
        marked["best"] = result.chosen
    return marked


def _panel(result: TuneResult, index: int) -> str:
    points = [
        (each, each.figures[index])
        for each in result.found
        if each.figures and math.isfinite(each.figures[index].p99_seconds)
    ]
    rates = Axis(
        0,
        _ceiling(max((figures.requests_per_second for _, figures in points), default=1)),
        LEFT,
        WIDTH - RIGHT,
    )
    most_ms = max((figures.p99_seconds for _, figures in points), default=0.001) * 1e3
    p99s_ms = Axis(0, _ceiling(most_ms), HEIGHT - BOTTOM, TOP)
    load = result.loads[index]
    title = load.told if isinstance(load, ClosedLoop) else f"{load.rate_per_second:g} requests per second"
    marks = {id(measured): kind for kind, measured in _marked(result).items()}
    points.sort(key=lambda point: id(point[0]) in marks)  # those in colour lie on top
    dots = "".join(
        _dot(measured, figures, marks.get(id(measured), "other"), rates, p99s_ms)
        for measured, figures in points
    )
    limit = result.goal.p99_limit_seconds
    limit_line = (
        _limit_line(limit * 1e3, p99s_ms) if limit is not None and limit * 1e3 <= p99s_ms.high else ""
    )
    row, column = divmod(index, PANELS_BESIDE)
    return element(
        "g",
        _axes(title, rates, p99s_ms) + limit_line + dots,
        transform=f"translate({WIDTH * column} {HEIGHT * row})",
    )


def _axes(title: str, rates: Axis, p99s_ms: Axis) -> str:
    parts = [text(LEFT, TOP - 28, title, font_weight="bold")]
    for quarter in range(5):
        rate, p99_ms = rates.high * quarter / 4, p99s_ms.high * quarter / 4
        y = p99s_ms.at(p99_ms)
        parts += [
            line(LEFT, y, WIDTH - RIGHT, y, class_="axis", opacity="0.5"),
            text(LEFT - 6, y + 4, f"{p99_ms:g}", class_="small", text_anchor="end"),
            text(rates.at(rate), HEIGHT - BOTTOM + 16, f"{rate:,g}", class_="small", text_anchor="middle"),
        ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(text(middle, HEIGHT - BOTTOM + 32, "requests/s", class_="small", text_anchor="middle"))
    parts.append(text(LEFT - 6, TOP - 10, "p99, ms", class_="small", text_anchor="end"))
    return "".join(parts)


def _dot(measured: Measured, figures: Figures, kind: str, rates: Axis, p99s_ms: Axis) -> str:
    tip = f"{told(measured.settings)}: {figures.requests_per_second:,.0f}/s, p99 {figures.p99_seconds * 1e3:.1f} ms"
    return circle(
        rates.at(figures.requests_per_second),
        p99s_ms.at(figures.p99_seconds * 1e3),
        4 if kind == "other" else 6,
        tip,
        fill=COLOURS[kind],
    )


def _limit_line(limit_ms: float, p99s_ms: Axis) -> str:
    y = p99s_ms.at(limit_ms)
    return line(LEFT, y, WIDTH - RIGHT, y, stroke="#c08a2d", stroke_dasharray="5 4") + text(
        WIDTH - RIGHT, y - 4, "limit", class_="small", text_anchor="end"
    )


def _ceiling(value: float) -> float:
    """Return the next round number, one that has round quarters."""
    return round_up(value, (1, 2, 4, 6, 8))
