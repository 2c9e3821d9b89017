"""The plot: one panel for each load, every candidate in it, no text of the deployment as markup."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import CommandError
from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenLoop
from statehouse.scripts.tuning.choice import Figures, Goal, Measured
from statehouse.scripts.tuning.plot import svg_of, write_plot
from statehouse.scripts.tuning.result import TuneResult

SVG = "{http://www.w3.org/2000/svg}"


def result(goal: Goal, *loads: ClosedLoop | OpenLoop) -> TuneResult:
    found = [
        Measured(
            VersionSettings(batch_size=size),
            ((Figures(rate, 0.001, p99),) * len(loads),),
        )
        for size, rate, p99 in ((1, 1000, 0.004), (8, 3000, 0.007), (64, 0, math.inf))
    ]
    found.append(Measured(VersionSettings(workers=256), problem="no memory <&"))
    return TuneResult("digits", "1.0", goal, loads, tuple(found), found[1], None, False, None)


def test_every_load_has_a_panel_with_every_candidate_that_answered() -> None:
    loads = [ClosedLoop(connections, 2.0) for connections in (1, 4, 8, 16, 64)]
    root = ElementTree.fromstring(svg_of(result(Goal(), *loads)))
    panels = root.findall(f"{SVG}g")
    assert [panel.findtext(f"{SVG}text") for panel in panels][::4] == ["1 connection", "64 connections"]
    assert len(panels) == 5
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for panel in panels:
        x, y = map(float, panel.attrib["transform"].removeprefix("translate(").rstrip(")").split())
        dots = panel.findall(f"{SVG}circle")
        assert len(dots) == 2
        assert all(0 < x + float(dot.attrib["cx"]) < width for dot in dots)
        assert all(0 < y + float(dot.attrib["cy"]) < height for dot in dots)
        assert "batches up to 8, 1 worker × 1 thread: 3,000/s, p99 7.0 ms" in [
            dot.findtext(f"{SVG}title") for dot in dots
        ]


def test_a_limit_that_was_given_is_a_line() -> None:
    load = OpenLoop(500, 2.0)
    texts = [
        each.text
        for each in ElementTree.fromstring(svg_of(result(Goal(0.005, 500), load))).iter(f"{SVG}text")
    ]
    assert "limit" in texts
    assert "500 requests per second" in texts
    assert "limit" not in svg_of(result(Goal(), load))


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"--plot .* cannot be written: Is a directory"):
        write_plot(tmp_path, result(Goal(), ClosedLoop(1, 1.0)))
