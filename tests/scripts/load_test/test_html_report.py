"""The page: whole, self-contained, and what it draws is what was counted."""

import asyncio
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_async

from statehouse.scripts.load_test import ClosedLoop, LoadResult, OpenLoop, Poisson, Ramp, run_load
from statehouse.scripts.load_test.capacity import Capacity, judge
from statehouse.scripts.load_test.command import LoadOptions
from statehouse.scripts.load_test.compare import Comparison
from statehouse.scripts.load_test.during import DuringResult
from statehouse.scripts.load_test.environment import environment_of
from statehouse.scripts.load_test.html_report import load_page
from statehouse.scripts.load_test.html_rounds import capacity_page, comparison_page
from statehouse.scripts.load_test.phases import phases_of
from statehouse.scripts.load_test.timeline import MOST_SLICES, timeline_of

HTML = "{http://www.w3.org/1999/xhtml}"


async def swap_with_faults(exchange: Exchange) -> None:
    await asyncio.sleep(0.001 * (exchange.index % 7))
    if exchange.index == 15:
        exchange.writer.write(b"nonsense\r\n\r\n")
    else:
        exchange.answer(503 if exchange.index == 16 else 200, "1.0" if exchange.index < 20 else "1.1<&")


@pytest.fixture(scope="module")
def results() -> list[LoadResult]:
    """A load with faults and two versions, then well answered ones: closed, Poisson, a ramp, and one of nothing."""
    found: list[LoadResult] = []

    async def scenario() -> None:
        async with CountingServer(swap_with_faults) as server:
            found.append(await run_load(server.plan(OpenLoop(100, 0.4))))
        async with CountingServer() as server:
            for arrivals in (
                ClosedLoop(2, 0.2),
                OpenLoop(100, 0.2, pattern=Poisson()),
                OpenLoop(50, 0.3, pattern=Ramp(200)),
            ):
                found.append(await run_load(server.plan(arrivals)))
            nothing = server.plan(OpenLoop(50, 0.1))
        found.append(await run_load(nothing))

    run_async(scenario())
    return found


def tree_of(page: str) -> ElementTree.Element:
    assert page.startswith("<!DOCTYPE html>")
    return ElementTree.fromstring(page)


def assert_self_contained(page: str) -> None:
    tree = tree_of(page)
    for element in tree.iter():
        assert element.tag not in ("script", "link", "img", "iframe", "object"), element.tag
        assert not {"src", "href", "onload"} & set(element.attrib)
    assert "url(" not in page
    assert "@import" not in page
    assert not re.search(r"\b(?:NaN|nan|inf|None)\b", "".join(tree.find("body").itertext()))  # type: ignore[union-attr]


def test_every_load_has_a_page_that_loads_nothing(results: list[LoadResult]) -> None:
    for result in results:
        page = load_page("digits", result, environment_of())
        assert_self_contained(page)
        headings = [each.text for each in tree_of(page).iter("h2")]
        assert "Failures by kind" in headings
        assert "Environment" in headings
        assert ("Latency over time" in headings) == bool(result.answered)


def test_what_failed_and_what_ran_stands_on_it(results: list[LoadResult]) -> None:
    result = results[0]
    phases = tuple(phases_of(result.records, 0.1, 0.2))
    during = DuringResult("swap digits 1.1", 0.1, 0.2, 1, "error: <no>", phases)
    page = load_page("digits", result, environment_of(), during, ["p99 > 1ms: it is 5.0 ms"])
    assert_self_contained(page)
    text = "".join(tree_of(page).itertext())
    for words in (
        "1.1<&",
        "status 503",
        "not http",
        "swap digits 1.1: failed with 1",
        "error: <no>",
        "p99 > 1ms",
    ):
        assert words in text
    assert "Before, during and after" in text


def test_the_plots_hold_every_answer(results: list[LoadResult]) -> None:
    for result in results[:4]:
        seconds = max(result.plan.arrivals.duration_seconds, result.elapsed_seconds)
        timeline = timeline_of(result.records, seconds)
        assert timeline.count <= MOST_SLICES
        assert timeline.heat is not None
        assert int(timeline.heat.counts.sum()) == result.answered
        good = sum(series.total for series in timeline.answers)
        assert good + sum(series.total for series in timeline.failures) == result.planned
        assert good == result.planned - result.failed
        assert np.nanmax(timeline.p99_seconds) <= (result.latency.max_seconds or 0)
        edges = timeline.heat.edges_seconds
        rows = timeline.heat.counts.sum(axis=0)
        slow = result.records.seconds[result.records.answered]
        assert int(rows[edges[1:] <= 0.001].sum()) <= int((slow <= 0.001).sum())


def test_a_search_and_a_comparison_have_pages(results: list[LoadResult]) -> None:
    good = results[2]
    trials = tuple(judge(good, limit) for limit in (10.0, 1e-9, 10.0))
    assert [trial.holds for trial in trials] == [True, False, True]
    rate = trials[0].rate_per_second
    for found in (Capacity(rate, 10.0, trials), Capacity(None, 1e-9, trials[1:2])):
        assert_self_contained(capacity_page("digits", found, good, environment_of()))
    for sides in (((good, good), (good, results[0])), ((good,), (good,)), ((results[4],), (good,))):
        page = comparison_page(
            "digits", Comparison("1.0", "1.1", *sides), environment_of(), ["errors > 0: 1"]
        )
        assert_self_contained(page)


def test_pages_of_rounds_say_that_they_were_interrupted(results: list[LoadResult]) -> None:
    good = results[2]
    trial = judge(good, 10.0)
    pages = [
        page
        for interrupted in (True, False)
        for page in (
            capacity_page("digits", Capacity(100.0, 10.0, (trial,), interrupted), good, environment_of()),
            comparison_page(
                "digits", Comparison("1.0", "1.1", (good,), (good,), interrupted), environment_of()
            ),
        )
    ]
    assert "Interrupted: by then 100 requests per second had kept p99 within 10.0 s." in pages[0]
    assert "is not confirmed" in pages[0]
    assert "Interrupted after 1 whole round of each." in pages[1]
    assert not any("nterrupted" in page for page in pages[2:])


def test_a_server_that_is_gone_at_the_end_loses_nothing(tmp_path: Path) -> None:
    found = LoadOptions("digits", tmp_path / "deployment.yaml").environment()
    assert found["server"].startswith("at the end: Nothing serves")
    assert "machine" in found


def test_the_environment_names_the_versions_that_are_served() -> None:
    row = {
        "name": "digits", "version": "1.0", "default": True, "digest": "0123456789abcdef",
        "settings": {"batch_size": 8, "workers": 1, "threads": 2},
    }  # fmt: skip
    found = environment_of({"models": [row, row | {"name": "other"}]}, "digits")
    assert found["digits 1.0"].startswith(
        "default, digest 0123456789ab, workers 1, batches up to 8, threads 2"
    )
    assert not any(name.startswith("other") for name in found)
    assert "statehouse" in found["software"]
