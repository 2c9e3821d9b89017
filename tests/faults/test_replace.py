"""Memory for one version only: refused with what to do, and then done with requests waiting meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.conftest import FaultyServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    """A server that would leave more memory free than any machine has; 1.0 and 1.1 are loaded."""
    server = FaultyServer(tmp_path_factory.mktemp("replace"))
    for version in ("1.0", "1.1", "1.2"):
        server.publish(version)
    server.publish("2.0", "wrong")
    server.deploy("1.1", "1.0", limits={"keep_free_bytes": 1 << 60})
    server.start()
    yield server
    server.kill_if_running()


def test_both_do_not_fit(server: FaultyServer) -> None:
    with server.load() as load:
        server.wait_until(lambda: load.answered > 50)
        refused = server.run("swap", "moody", "1.2", check=False)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    assert load.result.answers.keys() == {(200, "1.1")}
    [entry] = server.history()
    assert (entry["outcome"], entry["to"]["version"]) == ("failed", "1.2")
    assert "MiB are free" in entry["reason"]


def test_scaling_up_does_not_fit_either(server: FaultyServer) -> None:
    refused = server.run("scale", "moody", "1.1", "2", check=False)
    assert refused.returncode == 1
    assert "MiB are free" in refused.stderr
    assert "--replace" not in refused.stderr


def test_one_that_fails_brings_the_old_one_back(server: FaultyServer) -> None:
    with server.load(rate=50) as load:
        server.wait_until(lambda: load.answered > 50)
        refused = server.run("swap", "moody", "2.0", "--replace", check=False)
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert refused.returncode == 1
    assert "golden" in refused.stderr
    assert load.result.answers.keys() == {(200, "1.1")}
    assert not load.result.errors
    assert server.is_ready()
    assert [step["name"] for step in server.history()[-1]["steps"]] == ["stop", "load", "restore"]


def test_the_old_one_makes_room_and_its_requests_wait(server: FaultyServer) -> None:
    with server.load(rate=50) as load, server.load("moody/1.0", rate=20, connections=0) as other:
        server.wait_until(lambda: load.answered > 50)
        server.run("swap", "moody", "1.2", "--replace")
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert load.result.answers.keys() == {(200, "1.1"), (200, "1.2")}
    assert not load.result.errors
    assert other.result.answers.keys() == {(200, "1.0")}
    assert server.ask("moody/1.1").status_code == 410
    assert server.read_deployment()["models"]["moody"]["versions"].keys() == {"1.0", "1.2"}
    assert server.is_ready()
