"""The plot over connections: throughput and p99 of ours and each peer; runs in the peers' environment.

.venv-bench/bin/python -m benchmarks.plot figures.json small.svg
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

COLOURS = {
    "Statehouse": "#0b6e4f",
    "triton": "#d1495b",
    "fastapi": "#2e86ab",
    "litserve": "#8f6bb3",
    "bentoml": "#c08a2d",
    "torchserve": "#7a7a7a",
}
NAMES = {
    "triton": "Triton",
    "fastapi": "FastAPI",
    "litserve": "LitServe",
    "bentoml": "BentoML",
    "torchserve": "TorchServe as shipped",
}
PANELS = (("requests_per_second", "requests/s", 1.0), ("p99_seconds", "p99 in ms", 1000.0))
Lines = dict[tuple[str, str], dict[int, float]]


def lines_of(cells: list[dict[str, Any]], figure: str) -> Lines:
    """Return (who, form) → connections → median; ours over all its pairs."""
    values: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        for who, side in (("Statehouse", "ours"), (cell["peer"], "theirs")):
            measured = [measure[figure] for measure in cell[side]]
            values[who, cell["form"]][cell["connections"]] += measured
    return {
        line: {count: statistics.median(found) for count, found in sorted(points.items())}
        for line, points in values.items()
    }


def draw(cells: list[dict[str, Any]], title: str, file: Path) -> None:
    """Draw both panels to ``file``, whose suffix says how."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    for axis, (name, label, scale) in zip(axes, PANELS, strict=True):
        for (who, form), points in lines_of(cells, name).items():
            _line(axis, who, form, points, scale)
        counts = sorted({cell["connections"] for cell in cells})
        axis.set_xscale("log", base=2)
        axis.set_xticks(counts, [str(count) for count in counts])
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.grid(alpha=0.25, which="both", linewidth=0.5)
        axis.set_xlabel("connections")
        axis.set_title(label, loc="left")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.savefig(file, dpi=130)


def _line(axis: Any, who: str, form: str, points: dict[int, float], scale: float) -> None:  # noqa: ANN401
    ours = who == "Statehouse"
    axis.plot(
        list(points),
        [value * scale for value in points.values()],
        color=COLOURS.get(who, "black"),
        linestyle="-" if form == "json" else "--",
        linewidth=2.2 if ours else 1.3,
        marker="o",
        markersize=4 if ours else 3,
        label=f"{NAMES.get(who, who)}, {form}",
    )


def main() -> None:
    """Draw one workload's figures, as `benchmarks.compare --json` writes them."""
    source, target = map(Path, sys.argv[1:3])
    document = json.loads(source.read_text())
    draw(document["cells"], document["title"], target)


if __name__ == "__main__":
    main()
