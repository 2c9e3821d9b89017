"""SIGSTOP to a worker, SIGTERM to the server, a request that kills: what is in the way goes, the rest is served."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tests.faults.conftest import FaultyServer
from tests.faults.load import MOST_IN_FLIGHT, body_of
from tests.faults.moody_nets import POISON
from tests.scripts.servers.test_child_process import ends_soon

MakeServer = Callable[[], FaultyServer]


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if not ends_soon(pid):
            os.kill(pid, signal.SIGKILL)


def rows_in_flight(server: FaultyServer) -> float:
    page = server.reader.get("/metrics").text
    return sum(map(float, re.findall(r"^statehouse_rows_in_flight\{.*\} (\S+)$", page, re.MULTILINE)))


def test_a_worker_that_stands_still_is_replaced(make_server: MakeServer) -> None:
    server = make_server()
    server.publish("1.0")
    server.publish("1.1")
    server.deploy("1.0", "1.1", limits={"request_timeout_seconds": 8})
    server.start()
    [pid] = server.model("moody", "1.0")["workers"]["pids"]
    with server.load("moody/1.1", rate=50) as other, server.load(rate=20, connections=2) as load:
        server.wait_until(lambda: load.answered > 20 and other.answered > 50)
        with frozen(pid):
            server.wait_until(lambda: server.model("moody", "1.0")["workers"]["pids"] not in ([], [pid]))
        server.wait_until(server.is_ready)
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert other.result.answers.keys() == {(200, "1.1")}
    assert not other.result.errors
    assert load.result.served_by == {"1.0"}
    assert not load.result.errors  # nobody hangs: those in it, and behind it, are told
    assert load.result.statuses.keys() <= {200, 502, 503, 504}


def test_what_kills_a_worker_is_not_sent_to_another(make_server: MakeServer) -> None:
    """Three workers; each request that kills is answered, and has cost one of them."""
    server = make_server()
    server.publish("1.0", "crash")
    server.deploy("1.0", batch_size=1)
    server.start()
    server.run("scale", "moody", "1.0", "3")
    before = set(server.model("moody", "1.0")["workers"]["pids"])
    assert len(before) == 3
    answer = server.ask("moody", 1, POISON)
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:statehouse:problem:worker-ended"
    server.wait_until(lambda: not before <= set(server.model("moody", "1.0")["workers"]["pids"]))
    server.wait_until(lambda: server.model("moody", "1.0")["workers"]["ready"] == 3 and server.is_ready())
    after = set(server.model("moody", "1.0")["workers"]["pids"])
    assert len(before - after) == 1
    assert server.serving() == "1.0"


def test_a_server_that_is_stopped_answers_what_it_has_taken(make_server: MakeServer) -> None:
    server = make_server()
    for version in ("1.0", "1.1"):
        server.publish(version)
    server.deploy("1.0", "1.1")
    server.start()
    status = server.status()
    pids = [*status["pids"].values(), *[pid for row in status["models"] for pid in row["workers"]["pids"]]]
    slow = (body_of(10.5, 2, 3, 4),)  # some are in the worker, some wait for it
    taken = 'statehouse_front_in_flight{model="moody",version="1.1"} 4.0'
    with (
        server.load(rate=50) as load,
        server.load(rate=4, connections=0, bodies=slow) as held,
        ThreadPoolExecutor(4) as pool,
    ):
        server.wait_until(lambda: load.answered > 50 and held.answered > 1)
        known = [pool.submit(server.ask, "moody/1.1", 12) for _ in range(4)]
        server.wait_until(lambda: taken in server.reader.get("/metrics").text)
        assert server.stop() == 0
    assert [each.result().status_code for each in known] == [200] * 4
    for counted in (load.result, held.result):
        assert set(counted.statuses) <= {200, 503}
        # Who comes when it is over finds nobody; a connection that waits idle is closed.
        assert set(counted.errors) <= {"connection_refused", "connection_reset", "closed_before_answer"}
    assert load.result.failed - load.result.errors["connection_refused"] <= 2 * MOST_IN_FLIGHT
    for pid in pids:
        assert ends_soon(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_waits_for_the_slowest_answer(make_server: MakeServer, number: int) -> None:
    server = make_server()
    server.publish("1.0")
    server.deploy("1.0")
    server.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.ask, "moody", 16)  # 6 s
        server.wait_until(lambda: rows_in_flight(server) == 1)
        assert server.stop(number) == 0
        assert waiting.result().status_code == 200
