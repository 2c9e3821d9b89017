"""A plot of what `statehouse tune` found, as SVG: throughput and p99 of every candidate, one panel for each load."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from scripts.errors import CommandError
from scripts.load_test.arrivals import ClosedLoop
from scripts.tune_bench import told
from scripts.tune_choice import Figures, Measured
from scripts.tune_result import TuneResult

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
    most_rate = _ceiling(max((figures.requests_per_second for _, figures in points), default=1))
    most_ms = _ceiling(max((figures.p99_seconds for _, figures in points), default=0.001) * 1e3)
    load = result.loads[index]
    if isinstance(load, ClosedLoop):
        title = f"{load.connections} connection{'s' if load.connections > 1 else ''}"
    else:
        title = f"{load.rate_per_second:g} requests per second"
    marks = {id(measured): kind for kind, measured in _marked(result).items()}
    points.sort(key=lambda point: id(point[0]) in marks)  # those in colour lie on top
    dots = "".join(
        _dot(measured, figures, marks.get(id(measured), "other"), most_rate, most_ms)
        for measured, figures in points
    )
    limit = result.goal.p99_limit_seconds
    line = _limit_line(limit * 1e3, most_ms) if limit is not None and limit * 1e3 <= most_ms else ""
    axes = _axes(title, most_rate, most_ms)
    row, column = divmod(index, PANELS_BESIDE)
    return f'<g transform="translate({WIDTH * column} {HEIGHT * row})">{axes}{line}{dots}</g>'


def _axes(title: str, most_rate: float, most_ms: float) -> str:
    parts = [f'<text x="{LEFT}" y="{TOP - 28}" font-weight="bold">{escape(title)}</text>']
    for quarter in range(5):
        x, y = _x(quarter / 4), _y(quarter / 4)
        parts += [
            f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" opacity="0.5"/>',
            f'<text class="small" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{most_ms * quarter / 4:g}</text>',
            f'<text class="small" x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{most_rate * quarter / 4:,g}</text>",
        ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="small" x="{middle}" y="{HEIGHT - BOTTOM + 32}" text-anchor="middle">requests/s</text>'
    )
    parts.append(f'<text class="small" x="{LEFT - 6}" y="{TOP - 10}" text-anchor="end">p99, ms</text>')
    return "".join(parts)


def _dot(measured: Measured, figures: Figures, kind: str, most_rate: float, most_ms: float) -> str:
    x = _x(figures.requests_per_second / most_rate)
    y = _y(figures.p99_seconds * 1e3 / most_ms)
    tip = f"{told(measured.settings)}: {figures.requests_per_second:,.0f}/s, p99 {figures.p99_seconds * 1e3:.1f} ms"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if kind == "other" else 6}" fill="{COLOURS[kind]}">'
        f"<title>{escape(tip)}</title></circle>"
    )


def _limit_line(limit_ms: float, most_ms: float) -> str:
    y = _y(limit_ms / most_ms)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#c08a2d" stroke-dasharray="5 4"/>'
        f'<text class="small" x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end">limit</text>'
    )


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _ceiling(value: float) -> float:
    """Return the next round number, one that has round quarters."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next((step * power for step in (1, 2, 4, 6, 8) if step * power >= value), 10 * power)
