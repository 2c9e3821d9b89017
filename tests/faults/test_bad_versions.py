"""New versions that misbehave, swapped in under counted load: the old one keeps answering, each has its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.faults.conftest import FaultyServer
from tests.faults.load import MOST_IN_FLIGHT, Counted, body_of
from tests.faults.moody_nets import POISON

CALM_AND_POISON = (*(body_of(1, 2, 3, 4) for _ in range(4)), body_of(1, POISON, 3, 4))


@pytest.fixture
def server(served: FaultyServer) -> Iterator[FaultyServer]:
    """Whatever a test does, 1.0 serves afterwards."""
    yield served
    assert served.serving() == "1.0"
    assert served.is_ready()


def refused(server: FaultyServer, version: str, *options: str) -> tuple[str, Counted]:
    """Swap under load; return the reason, and the load's count."""
    with server.load() as load:
        server.wait_until(lambda: load.answered > 50)
        done = server.run("swap", "moody", version, *options, check=False)
        beyond = load.answered + 100
        server.wait_until(lambda: load.answered > beyond)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr, load.result


def assert_gone(server: FaultyServer, version: str) -> None:
    assert {row["version"] for row in server.status()["models"]} == {"1.0"}
    assert server.read_deployment()["models"]["moody"]["versions"].keys() == {"1.0"}
    assert server.ask(f"moody/{version}").status_code == 404
    assert not server.deployment_file.with_suffix(".pending.json").exists()


def last(server: FaultyServer) -> dict[str, Any]:
    return server.history()[-1]


@pytest.mark.parametrize(
    ("version", "mood", "reason"),
    [("2.0", "unloadable", "not in the mood"), ("2.1", "wrong", "golden")],
)
def test_what_does_not_prove_itself_is_refused(
    server: FaultyServer, version: str, mood: str, reason: str
) -> None:
    server.publish(version, mood)
    told, counted = refused(server, version)
    assert reason in told
    assert counted.answers.keys() == {(200, "1.0")}
    assert not counted.errors
    assert_gone(server, version)
    assert reason in last(server)["reason"]
    assert (last(server)["outcome"], last(server)["failed"]) == ("failed", 0)


def test_a_flipped_byte_is_refused(server: FaultyServer) -> None:
    server.publish("2.2")
    checkpoint = server.store / "moody-2.2" / "checkpoint.pt"
    checkpoint.chmod(0o644)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    told, counted = refused(server, "2.2")
    assert "SHA-256" in told
    assert counted.answers.keys() == {(200, "1.0")}
    assert_gone(server, "2.2")


class TestOnRealRequests:
    """Published and verified, and then something comes that no golden example had."""

    def poisoned(
        self, server: FaultyServer, version: str, *options: str, rate: float = 150
    ) -> tuple[str, Counted]:
        with server.load(rate=rate, connections=0, bodies=CALM_AND_POISON) as load:
            server.wait_until(lambda: load.answered > 60)
            done = server.run("swap", "moody", version, *options, check=False)
            beyond = load.answered + 100
            server.wait_until(lambda: load.answered > beyond)
        assert done.returncode == 1
        assert load.result.served_by >= {"1.0"}
        assert not load.result.errors
        assert {found for status, found in load.result.answers if status != 200} <= {version}
        assert_gone(server, version)
        assert last(server)["outcome"] == "rolled back"
        assert last(server)["serving"] == "1.0"
        assert [step["name"] for step in last(server)["steps"]][-2:] == ["roll back", "drain"]
        return done.stderr, load.result

    def test_one_that_crashes_is_rolled_back(self, server: FaultyServer) -> None:
        server.publish("3.0", "crash")
        told, counted = self.poisoned(server, "3.0", "--watch", "20s", rate=40)
        assert "answers failed" in told
        assert set(counted.statuses) <= {200, 502, 503}
        assert 0 < counted.failed == last(server)["failed"] <= MOST_IN_FLIGHT

    def test_one_that_crashes_on_a_share_is_rolled_back_before_the_flip(self, server: FaultyServer) -> None:
        server.publish("3.1", "crash")
        told, counted = self.poisoned(server, "3.1", "--canary", "10%,100%", "--step", "20s", rate=40)
        assert "answers failed" in told
        assert 0 < counted.failed <= MOST_IN_FLIGHT
        assert "flip" not in [step["name"] for step in last(server)["steps"]]

    @pytest.mark.parametrize(("version", "mood", "status"), [("3.2", "nan", 500), ("3.6", "hungry", 507)])
    def test_one_that_fails_on_some_requests_is_rolled_back(
        self, server: FaultyServer, version: str, mood: str, status: int
    ) -> None:
        server.publish(version, mood)
        told, counted = self.poisoned(server, version, "--watch", "20s")
        assert "answers failed" in told
        assert set(counted.statuses) == {200, status}
        assert counted.failed == last(server)["failed"]

    @pytest.mark.parametrize(
        ("version", "options"),
        [("3.3", ("--watch", "30s")), ("3.4", ("--canary", "30%,100%", "--step", "30s"))],
    )
    def test_a_slow_one_is_rolled_back(
        self, server: FaultyServer, version: str, options: tuple[str, ...]
    ) -> None:
        server.publish(version, "slow", sleep_seconds=0.4)
        told, counted = self.poisoned(server, version, *options, rate=20)
        assert "99 % of answers took" in told
        assert counted.failed == 0
        assert last(server)["slowest_seconds"] >= 0.4

    def test_a_crash_that_nobody_watches_costs_what_was_in_flight(self, server: FaultyServer) -> None:
        server.publish("3.5", "crash")
        server.run("swap", "moody", "3.5")
        with server.load(rate=50) as load:
            server.wait_until(lambda: load.answered > 50)
            assert server.ask("moody", 1, POISON).status_code in (502, 503)
            beyond = load.answered + 100
            server.wait_until(lambda: load.answered > beyond)
        assert load.result.served_by == {"3.5"}
        assert not load.result.errors
        assert load.result.failed <= MOST_IN_FLIGHT
        server.wait_until(server.is_ready)
        server.run("swap", "moody", "1.0", "--retire")
        assert_retired(server, "3.5")


def test_memory_that_is_short_for_one_request_costs_no_other(server: FaultyServer) -> None:
    server.publish("3.7", "hungry")
    server.run("swap", "moody", "3.7")
    pids = server.model("moody", "3.7")["workers"]["pids"]
    with server.load(rate=50) as load:
        server.wait_until(lambda: load.answered > 20)
        answer = server.ask("moody", 1, POISON)
        beyond = load.answered + 20
        server.wait_until(lambda: load.answered > beyond)
    assert answer.status_code == 507
    assert answer.json()["type"] == "urn:statehouse:problem:out-of-memory"
    assert answer.headers["x-model-version"] == "3.7"
    assert load.result.answers.keys() == {(200, "3.7")}
    assert server.model("moody", "3.7")["workers"]["pids"] == pids
    page = server.reader.get("/metrics").text
    counted = 'statehouse_front_problems_total{model="moody",problem="out-of-memory",status="507",version="3.7"} 1.0'
    assert counted in page.splitlines()
    server.run("swap", "moody", "1.0", "--retire")


def assert_retired(server: FaultyServer, version: str) -> None:
    assert server.ask(f"moody/{version}").status_code == 410
    assert {row["version"] for row in server.status()["models"]} == {"1.0"}
