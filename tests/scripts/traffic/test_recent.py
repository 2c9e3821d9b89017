"""The last minutes as they are kept: each look is a reading that a test makes, at a time that it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from statehouse.scripts.traffic import recent as module
from statehouse.scripts.traffic.problem_log import Problems, RequestLog
from statehouse.scripts.traffic.recent import KEPT_SECONDS, Reading, RecentTraffic, look_at
from statehouse.scripts.traffic.request_end import read_request_end
from statehouse.scripts.traffic.version_counts import Counted, Counts
from statehouse.scripts.traffic.worker_metrics import MergedWorkerMetrics

DIGITS, OTHER = ("digits", "1.0"), ("other", "1.0")
BEGAN = 1000.0


def answered(count: float, *, slow: float = 0) -> Counts:
    """So many requests, answered within 1 ms, but for the slow ones, within 1 s."""
    return {
        Counted("answered", "200"): count,
        Counted("within", 0.001): count - slow,
        Counted("within", 1.0): slow,
    }


def no_look() -> Reading:
    raise AssertionError("nobody asked for a look")


@pytest.fixture
def recent() -> RecentTraffic:
    return RecentTraffic(no_look, BEGAN)


def take(recent: RecentTraffic, after_seconds: float, **counts: Counts) -> None:
    """A look, so long after the start, with the counts of versions 1.0."""
    recent.take(Reading(BEGAN + after_seconds, {(name, "1.0"): each for name, each in counts.items()}, {}))


def rates(recent: RecentTraffic) -> list[float | None]:
    course = recent.course(DIGITS)
    assert course is not None
    return [each and each.requests_per_second for each in course]


def test_a_rate_is_of_the_time_between_two_looks(recent: RecentTraffic) -> None:
    for after, count in ((2, 20), (4, 60), (5, 70), (15, 90)):
        take(recent, after, digits=answered(count))
    assert rates(recent) == [10, 20, 10, 2]
    assert [each.seconds for each in recent.intervals] == [2, 2, 1, 10]


def test_a_window_that_is_longer_than_the_server_has_run_has_its_own_divisor(recent: RecentTraffic) -> None:
    take(recent, 2, digits=answered(20))
    take(recent, 4, digits=answered(20))
    figures = recent.figures(DIGITS, 60)
    assert (figures.seconds, figures.requests, figures.requests_per_second) == (4, 20, 5)


def test_a_window_is_of_its_own_looks_alone(recent: RecentTraffic) -> None:
    for second in range(2, 62, 2):
        take(recent, second, digits=answered(10 * second, slow=10 * min(second, 50)))
    figures = recent.figures(DIGITS, 10)
    assert (figures.seconds, figures.requests, figures.requests_per_second) == (10, 100, 10)
    assert figures.p99_seconds == pytest.approx(0.0005 + 0.0005 * 0.99)  # the slow ones were before
    assert recent.figures(DIGITS, 60).p50_seconds == pytest.approx(0.5 + 0.5 * 200 / 500)


def test_what_was_loaded_meanwhile_has_its_own_time(recent: RecentTraffic) -> None:
    for second in range(2, 42, 2):
        late = {"other": answered(5 * (second - 30))} if second > 30 else {}
        take(recent, second, digits=answered(second), **late)
    mine = recent.figures(OTHER, 300)
    assert (mine.seconds, mine.requests, mine.requests_per_second) == (10, 50, 5)
    assert recent.figures(OTHER, None) == mine
    assert recent.figures(None, 300).seconds == 40
    course = recent.course(OTHER)
    assert course is not None
    assert [each is None for each in course] == [True] * 15 + [False] * 5


def test_all_together_are_those_as_well_that_are_gone(recent: RecentTraffic) -> None:
    take(recent, 2, digits=answered(10), other=answered(30))
    take(recent, 4, digits=answered(10))
    assert recent.figures(None, 10).requests == recent.figures(None, None).requests == 40
    assert recent.figures(None, 10).requests_per_second == 10


@pytest.mark.parametrize("anew", [3, 0])
def test_what_counts_anew_never_makes_a_rate_negative_or_absurd(recent: RecentTraffic, anew: int) -> None:
    take(recent, 2, digits=answered(1_000_000))
    take(recent, 4, digits=answered(1_000_010))
    take(recent, 6, digits=answered(anew))
    take(recent, 8, digits=answered(anew + 4))
    assert rates(recent) == [500_000, 5, anew / 2, 2]
    assert recent.figures(DIGITS, 4).requests == anew + 4


def test_a_version_that_comes_back_counts_from_zero(recent: RecentTraffic) -> None:
    take(recent, 2, digits=answered(100))
    take(recent, 4)
    take(recent, 6, digits=answered(6))
    assert rates(recent)[2] == 3
    assert recent.figures(DIGITS, None).requests == 6
    assert recent.figures(DIGITS, 300).requests == 106
    assert recent.figures(DIGITS, 300).seconds == 6


def test_a_supervisor_that_was_stopped_has_one_long_interval(recent: RecentTraffic) -> None:
    take(recent, 2, digits=answered(20))
    take(recent, 182, digits=answered(1820))
    assert rates(recent) == [10, 10]
    figures = recent.figures(DIGITS, 10)
    assert (figures.seconds, figures.requests_per_second) == (180, 10)


def test_a_look_at_the_same_moment_changes_nothing(recent: RecentTraffic) -> None:
    take(recent, 2, digits=answered(20))
    take(recent, 2, digits=answered(30))
    take(recent, 4, digits=answered(40))
    assert rates(recent) == [10, 10]


def test_no_more_is_kept_than_some_minutes(recent: RecentTraffic) -> None:
    for second in range(2, 4000, 2):
        take(recent, second, digits=answered(second))
    assert len(recent.intervals) == KEPT_SECONDS / 2
    assert recent.figures(DIGITS, KEPT_SECONDS).seconds == KEPT_SECONDS
    for second in range(4000, 4000 + int(KEPT_SECONDS) + 2, 2):
        take(recent, second, digits=answered(4000))
    assert recent.course(DIGITS) is None
    assert recent.figures(DIGITS, None).requests == 4000


def test_of_what_was_never_seen_there_is_nothing(recent: RecentTraffic) -> None:
    for window in (10, None):
        assert recent.figures(DIGITS, window).requests == 0
    assert recent.course(DIGITS) is None


def test_a_look_that_fails_is_told_and_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP_SECONDS", 0.001)
    readings = iter([OSError("disk"), Reading(BEGAN + 4, {DIGITS: answered(8)}, {})])
    problems = []

    def read() -> Reading:
        problems.append(recent.problem)
        found = next(readings, None)
        if isinstance(found, Reading):
            return found
        raise found or asyncio.CancelledError

    recent = RecentTraffic(read, BEGAN)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(recent.keep())
    assert problems == [None, "OSError: disk", None]
    assert rates(recent) == [2]


def test_a_look_has_what_the_front_answered_in_the_workers_place(tmp_path: Path) -> None:
    problems = Problems(RequestLog(tmp_path / "log"), is_loaded=lambda *key: key == DIGITS)
    for status, kind in (
        (503, "unavailable"),
        (503, "queue-full"),
        (504, "deadline"),
        (422, "invalid-input"),
    ):
        end = read_request_end(f"{status} 7 -- default {kind} id trace - digits 1.0 POST /predictions/digits")
        assert end
        problems.take(end)
    reading = look_at(MergedWorkerMetrics(tmp_path), problems, [DIGITS])
    told = {each.of: count for each, count in reading.counts[DIGITS].items() if count}
    assert told == {"503": 2, "504": 1}  # a worker counts its own 422 itself
    assert reading.rows_in_flight == {DIGITS: 0}
