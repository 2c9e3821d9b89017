"""What /live tells, of versions that are loaded and of readings that a test makes."""

import json
from types import SimpleNamespace

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.reader.console.live import COURSE, live_of
from statehouse.scripts.supervisor.loaded_version import LoadedVersion
from statehouse.scripts.traffic.recent import Reading, RecentTraffic
from statehouse.scripts.traffic.version_counts import Counted

SETTINGS = VersionSettings(batch_size=8)
BUSY, IDLE = ("net", "1.10"), ("net", "1.9")


@pytest.fixture
def told():
    """Of a server that has run for 4 s, in which one version answered 30 requests, 10 of them badly."""
    recent = RecentTraffic(lambda: pytest.fail("nobody asked for a look"), 100.0)
    for at, good, bad in ((102.0, 10.0, 0.0), (104.0, 20.0, 10.0)):
        counts = {Counted("answered", "200"): good, Counted("of_the_front", "503"): bad}
        recent.take(Reading(at, {BUSY: counts, IDLE: {}}, {BUSY: 3}))
    versions = {key: LoadedVersion(*key, SETTINGS) for key in (BUSY, IDLE)}
    return json.loads(
        json.dumps(live_of(SimpleNamespace(recent=recent, fleet=SimpleNamespace(versions=versions))))
    )


def test_versions_are_in_order_with_their_figures_in_every_window(told) -> None:
    idle, busy = told["versions"]
    assert [idle["version"], busy["version"]] == ["1.9", "1.10"]
    assert list(busy["figures"]) == ["10", "60", "300", "loaded"]
    for figures in (*busy["figures"].values(), *told["all"].values()):
        assert (figures["seconds"], figures["requests"], figures["failed"]) == (4, 30, 10)
        assert (figures["requests_per_second"], figures["failed_per_second"]) == (7.5, 2.5)
    assert idle["figures"]["10"]["requests_per_second"] == 0
    assert (busy["rows_in_flight"], idle["rows_in_flight"]) == (3, 0)


def test_a_course_has_a_value_for_each_interval_and_there_is_none_without_requests(told) -> None:
    idle, busy = told["versions"]
    assert told["intervals"] == {"at_seconds": [102, 104], "seconds": [2, 2]}
    assert set(busy["course"]) == set(COURSE)
    assert busy["course"]["requests_per_second"] == [5, 10]
    assert busy["course"]["failed_per_second"] == [0, 5]
    assert idle["course"] is None
    assert told["problem"] is None
