"""SIGKILL and SIGSTOP to Java, to the front, to workers, under counted load.

What was in flight there fails, all else waits.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.conftest import FaultyServer
from tests.faults.load import MOST_IN_FLIGHT, Counted
from tests.scripts.servers.test_child_process import ends_soon

# How a client sees that its connection's other end was killed.
BROKEN = {"connection_reset", "closed_before_answer", "closed_inside_answer"}


@pytest.fixture(scope="module")
def server(served: FaultyServer) -> FaultyServer:
    """Two versions loaded, 1.1 the default."""
    served.run("swap", "moody", "1.1")
    return served


def kill(*pids: int) -> float:
    """Kill processes and wait until they are gone, with their sockets; return when that was."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 240
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return time.monotonic()


def kill_torchserve(server: FaultyServer, pid: int) -> float:
    """Kill TorchServe, with which its workers end; return when it was known that there are none."""
    kill(pid)
    server.wait_until(lambda: not any(row["workers"]["ready"] for row in server.status()["models"]))
    return time.monotonic()


def heal(server: FaultyServer, *which: str) -> tuple[list[Counted], float]:
    """Kill servers under load; return the loads' counts once all that is desired is back, and when they were gone."""
    pids = [server.status()["pids"][each] for each in which]
    with server.load(rate=100) as load, server.load("moody/1.0", rate=20, connections=0) as explicit:
        server.wait_until(lambda: load.answered > 50)
        gone = kill_torchserve(server, *pids) if which == ("torchserve",) else kill(*pids)
        server.wait_until(lambda: are_back(server, which, pids))
        beyond = load.answered + 100
        server.wait_until(lambda: load.answered > beyond)
    assert load.result.served_by == {"1.1"}
    assert explicit.result.served_by == {"1.0"}
    for counted in (load.result, explicit.result):
        assert counted.failed <= MOST_IN_FLIGHT
    assert server.serving() == "1.1"
    return [load.result, explicit.result], gone


def are_back(server: FaultyServer, which: Sequence[str], killed: Sequence[int]) -> bool:
    now = server.status()["pids"]
    return {now[each] for each in which}.isdisjoint({*killed, None}) and server.is_ready()


def test_a_killed_java_is_back_unaided(server: FaultyServer) -> None:
    workers = [pid for row in server.status()["models"] for pid in row["workers"]["pids"]]
    loads, gone = heal(server, "torchserve")
    for counted in loads:
        # What was in flight got an answer, if a bad one; on a connection that had been used HAProxy may close instead.
        assert set(counted.errors) <= {"closed_before_answer"}
        assert set(counted.statuses) <= {200, 502, 503, 504}
        assert counted.last_failed_sent < gone  # all that was sent later waited
    for pid in workers:
        assert ends_soon(pid)


def test_a_killed_front_is_back_unaided(server: FaultyServer) -> None:
    loads, gone = heal(server, "front")
    for counted in loads:
        assert set(counted.statuses) == {200}
        assert set(counted.errors) <= BROKEN
        assert counted.last_failed_connected < gone  # all who came later waited


def test_all_killed_at_once_are_back_unaided(server: FaultyServer) -> None:
    loads, gone = heal(server, "front", "torchserve", "fork_server")
    for counted in loads:
        assert set(counted.statuses) == {200}
        assert set(counted.errors) <= BROKEN
        assert counted.last_failed_connected < gone


def test_a_killed_fork_server_is_back_unaided(server: FaultyServer) -> None:
    """Workers that are asked for meanwhile start the long way; those there are go on."""
    before = server.model("moody", "1.1")["workers"]["pids"]
    loads, _ = heal(server, "fork_server")
    for counted in loads:
        assert set(counted.statuses) == {200}
        assert not counted.errors
    assert server.model("moody", "1.1")["workers"]["pids"] == before
    told = "the fork server ended with exit code -9"
    assert told in server.log.read_text()


def test_a_killed_worker_is_back_unaided(server: FaultyServer) -> None:
    with server.load(rate=100) as load:
        server.wait_until(lambda: load.answered > 50)
        [pid] = server.model("moody", "1.1")["workers"]["pids"]
        os.kill(pid, signal.SIGKILL)
        server.wait_until(
            lambda: server.model("moody", "1.1")["workers"]["pids"] != [pid] and server.is_ready()
        )
        back = time.monotonic()
        beyond = load.answered + 100
        server.wait_until(lambda: load.answered > beyond)
    counted = load.result
    assert counted.served_by == {"1.1"}
    assert not counted.errors
    assert set(counted.statuses) <= {200, 502, 503}
    assert counted.failed <= MOST_IN_FLIGHT
    assert counted.last_failed_sent < back


def test_workers_that_torchserve_has_given_up_on_are_healed(server: FaultyServer) -> None:
    """Files are away for so long that TorchServe stops trying, and then back: for all workers, and for one of two.

    Who asks while there is no worker at all waits until there is one.
    """
    server.run("scale", "moody", "1.0", "2")
    folders = [server.store / f"moody-{version}" for version in ("1.0", "1.1")]
    with server.load(rate=20, connections=2) as load, server.load("moody/1.0", rate=50) as other:
        server.wait_until(lambda: load.answered > 20)
        for version, folder in zip(("1.0", "1.1"), folders, strict=True):
            pid = server.model("moody", version)["workers"]["pids"][0]
            folder.rename(server.folder / folder.name)
            os.kill(pid, signal.SIGKILL)
        told = [f"moody {version} cannot be healed now" for version in ("1.0", "1.1")]
        server.wait_until(lambda: all(each in server.log.read_text() for each in told))
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(server.ask) for _ in range(8)]
            beyond = other.answered + 100  # time enough to be refused in
            server.wait_until(lambda: other.answered > beyond)
            refused = [each.result().text for each in waiting if each.done()]
            for folder in folders:
                (server.folder / folder.name).rename(folder)
            answers = [each.result().status_code for each in waiting]
        server.wait_until(server.is_ready)
        beyond = load.answered + 20
        server.wait_until(lambda: load.answered > beyond)
    assert refused == []
    assert answers == [200] * 8
    assert other.result.served_by == {"1.0"}
    assert other.result.failed <= MOST_IN_FLIGHT
    assert load.result.served_by == {"1.1"}
    assert not load.result.errors
    # What the worker had when it was killed is lost. What waits at the front longer than its deadline, should healing
    # take so long here, is told so by 503.
    assert load.result.statuses.keys() <= {200, 502, 503, 504}
    assert load.result.failed - load.result.statuses[503] <= MOST_IN_FLIGHT
    for version, workers in (("1.0", 2), ("1.1", 1)):
        assert server.model("moody", version)["workers"]["ready"] == workers


def test_a_stop_meets_a_restart_and_ends_it(server: FaultyServer) -> None:
    pids = server.status()["pids"]
    kill(*pids.values())
    assert server.stop() == 0
    server.start()
    assert server.serving() == "1.1"


def test_the_supervisor_ends_its_servers_when_it_is_stopped(server: FaultyServer) -> None:
    status = server.status()
    workers = [pid for row in status["models"] for pid in row["workers"]["pids"]]
    assert server.stop() == 0
    for pid in (*workers, *status["pids"].values()):
        assert ends_soon(pid)


def test_a_default_that_could_not_start_is_swapped_away_from_and_healed(server: FaultyServer) -> None:
    folder, away = server.store / "moody-1.1", server.folder / "away"
    folder.rename(away)
    server.start()
    assert server.announced["ready"] is False
    assert server.run("status", "--ready", check=False).returncode == 1
    assert server.ask().status_code == 503
    assert server.ask("moody/1.0").status_code == 200
    server.run("swap", "moody", "1.0")
    assert server.serving() == "1.0"
    assert server.model("moody", "1.1")["state"] == "FAILED"
    away.rename(folder)
    server.wait_until(server.is_ready)
    server.run("status", "--ready")
    assert server.ask("moody/1.1").status_code == 200
    assert server.serving() == "1.0"


@pytest.fixture(scope="module")
def impatient(server: FaultyServer) -> FaultyServer:
    """The server, started again so that it kills who is silent sooner."""
    assert server.stop() == 0
    server.kill_the_silent_after(8)
    server.start()
    return server


def said_by_the_supervisor(server: FaultyServer) -> str:
    return server.run("logs", "--of", "supervisor", "-n", "1000").stdout


@contextmanager
def stands_still(server: FaultyServer, which: str, title: str) -> Iterator[float]:
    """SIGSTOP a server, read what is said of it meanwhile, and wait until another has taken its place."""
    pid = server.status()["pids"][which]
    os.kill(pid, signal.SIGSTOP)
    while state_of(pid) != "T":
        time.sleep(0.001)
    stopped = time.monotonic()
    for path in ("/ready", "/metrics"):  # before anybody knows it, too
        server.reader.get(path)
    server.wait_until(lambda: not server.is_ready())
    ready, live = (server.reader.get(path) for path in ("/ready", "/v2/health/live"))
    metrics = server.reader.get("/metrics").text
    assert state_of(pid) == "T"  # all this was said while it stood still
    assert ready.status_code == live.status_code == 503
    for answer in (ready, live):
        [missing] = answer.json()["missing"]
        assert missing.startswith(f"{title} has not answered for ")
    assert f'statehouse_process_up{{process="{which}"}} 0.0' in metrics
    yield stopped
    server.wait_until(lambda: are_back(server, [which], [pid]))
    assert f" supervisor {title} has not answered for " in said_by_the_supervisor(server)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_java_that_stands_still_is_replaced(impatient: FaultyServer) -> None:
    server = impatient
    stopped = server.status()["pids"]["torchserve"]
    with server.load(rate=50) as load:
        server.wait_until(lambda: load.answered > 50)
        with stands_still(server, "torchserve", "TorchServe"):
            beyond = load.answered + 50
            server.wait_until(lambda: load.answered > beyond)
            assert state_of(stopped) == "T"  # nobody waits for it
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert set(load.result.statuses) <= {200, 502}
    assert set(load.result.errors) <= {"closed_before_answer"}
    assert load.result.failed <= MOST_IN_FLIGHT


def test_a_front_that_stands_still_is_replaced(impatient: FaultyServer) -> None:
    """What it had taken is lost; who comes later waits, a change as well."""
    server = impatient
    with server.load(rate=50) as load:
        server.wait_until(lambda: load.answered > 50)
        with stands_still(server, "front", "HAProxy") as stopped:
            server.run("swap", "moody", "1.1")
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert server.serving() == "1.1"
    assert set(load.result.statuses) == {200}
    assert set(load.result.errors) <= BROKEN
    assert load.result.last_failed_connected < stopped


def test_a_fork_server_that_stands_still_is_replaced(impatient: FaultyServer) -> None:
    """Nobody who is served notices, and workers that are asked for later are forks of another."""
    server = impatient
    before = server.model("moody", "1.1")["workers"]["pids"]
    pid = server.status()["pids"]["fork_server"]
    with server.load(rate=50) as load:
        server.wait_until(lambda: load.answered > 50)
        os.kill(pid, signal.SIGSTOP)
        server.wait_until(lambda: are_back(server, ["fork_server"], [pid]))
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert (set(load.result.statuses), not load.result.errors) == ({200}, True)
    assert server.model("moody", "1.1")["workers"]["pids"] == before
    assert " supervisor The fork server has not answered for " in said_by_the_supervisor(server)
    server.run("scale", "moody", "1.1", "2")
    server.run("scale", "moody", "1.1", "1")
    assert "starting a worker the long way" not in server.run("logs", "--of", "worker", "-n", "1000").stdout
