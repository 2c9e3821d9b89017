"""What a load found, and what is told of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, OpenLoop, Poisson
from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.histogram import latency_of
from statehouse.scripts.load_test.recorder import Recorder
from statehouse.scripts.load_test.result import GeneratorHealth, LoadResult
from statehouse.scripts.load_test.summary import summarise

PLAN = LoadPlan.for_url("http://h/", (Body(b"x", "text/plain"),), OpenLoop(2, 5, pattern=Poisson(7)))


@pytest.fixture
def result() -> LoadResult:
    """Two of 200, one of 404 and 503 each, a timeout, one that could not connect, one that was never sent."""
    recorder = Recorder(started=100.0)
    for second, status in enumerate((200, 200, 404, 503)):
        due = 100.0 + second
        recorder.answered(Answer(status, "1.0", True), due, due, due + 0.5, connected=99.0 + second)
    recorder.failed("timeout", 105.0, 107.0, sent=105.5, connected=104.0)
    recorder.failed("connection_refused", 106.0, 106.25)
    recorder.unsent([109.0], 110.0)
    return summarise(PLAN, recorder.recording(planned=7, cpu_share=0.5, interrupted=False))


def test_anything_but_a_2xx_has_failed(result: LoadResult) -> None:
    assert result.failed == 5


def test_when_the_last_was_sent_that_the_server_did_not_serve(result: LoadResult) -> None:
    """One that could not even connect was sent when that was known; what was never sent is nobody's failure."""
    assert result.last_failed_sent_seconds == 6.25
    assert result.last_failed_connected_seconds == 6.25
    recorder = Recorder(started=0.0)
    recorder.answered(Answer(404, "1.0", True), 0, 0, 1)
    well = summarise(PLAN, recorder.recording(planned=1, cpu_share=0.5, interrupted=False))
    assert well.last_failed_sent_seconds is None


def test_answers_per_second_are_over_what_was_planned_or_took_longer(result: LoadResult) -> None:
    assert (result.plan.arrivals.duration_seconds, result.elapsed_seconds) == (5, 10)
    assert result.answers_per_second == 4 / 10
    assert replace(result, elapsed_seconds=3.0).answers_per_second == 4 / 5
    assert replace(result, elapsed_seconds=2.0, interrupted=True).answers_per_second == 4 / 2
    assert replace(result, elapsed_seconds=0.0, interrupted=True).answers_per_second == 0.0


def test_a_version_is_found_by_its_name(result: LoadResult) -> None:
    assert result.version("1.0") is result.versions[0]
    assert result.version("1.1") is None


@pytest.mark.parametrize(
    ("late", "shares", "told"),
    [
        (0.001, (0.5, 0.9), None),
        (0.006, (0.5,), "it came 6.0 ms late at p99"),
        (0.001, (0.5, 0.95), "it used 95% of a core"),
        (None, (0.1,), None),
    ],
)
def test_a_generator_that_did_not_keep_up_says_so(
    late: float | None, shares: tuple[float, ...], told: str | None
) -> None:
    lateness = latency_of(np.array([] if late is None else [late] * 100))
    health = GeneratorHealth(lateness, shares)
    assert health.cpu_share == max(shares)
    found = health.bottleneck
    assert found is None if told is None else str(found).startswith(told)


def test_it_is_plain_data_that_json_can_say(result: LoadResult) -> None:
    plain = json.loads(json.dumps(result.to_plain(), allow_nan=False))
    assert plain["load"] == {
        "url": "http://h:80/", "loop": "open", "arrivals": "poisson", "rate_per_second": 2, "duration_seconds": 5,
        "max_connections": 256, "seed": 7, "timeout_seconds": 10.0, "max_wait_seconds": 10.0, "bodies": 1,
    }  # fmt: skip
    assert plain["statuses"] == {"200": 2, "404": 1, "503": 1}
    assert plain["errors"] == {"timeout": 1, "connection_refused": 1}
    assert (plain["planned"], plain["failed"], plain["unsent"]) == (7, 5, 1)
    assert plain["versions"][0]["statuses"] == {"200": 2, "404": 1, "503": 1}
    assert plain["versions"][0]["last_sent_seconds"] == 3.0
    assert plain["generator"]["cpu_share"] == 0.5
    assert plain["histogram"].startswith("H")


def test_a_closed_loop_tells_its_connections(result: LoadResult) -> None:
    plain = replace(result, plan=replace(PLAN, arrivals=ClosedLoop(3, 2))).to_plain()["load"]
    assert (plain["loop"], plain["connections"]) == ("closed", 3)
