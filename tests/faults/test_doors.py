"""Workers' doors that are hurt: killed with a queue behind them, stopped, cut off; and clients that hurt them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.faults.conftest import FaultyServer
from tests.faults.load import CALM, body_of

from statehouse.scripts.servers.private_folder import RuntimeFolder

MakeServer = Callable[[], FaultyServer]
SLOW = 10.3  # the first input of a request that takes 0.3 s


def doors_of(server: FaultyServer) -> list[Path]:
    folder = RuntimeFolder.of_deployment(server.deployment_file).doors
    return sorted(folder.glob("*.small"))


def pids_of(server: FaultyServer, version: str = "1.0") -> list[int]:
    return server.model("moody", version)["workers"]["pids"]


@pytest.fixture
def server(make_server: MakeServer) -> FaultyServer:
    server = make_server()
    server.publish("1.0")
    server.deploy("1.0", batch_size=1)
    server.start()
    return server


def ask_many(
    server: FaultyServer, pool: ThreadPoolExecutor, count: int, first: float
) -> list[httpx.Response]:
    return list(pool.map(lambda _: server.ask("moody", first), range(count)))


def test_of_those_behind_a_killed_worker_only_what_it_held_fails(server: FaultyServer) -> None:
    [pid] = pids_of(server)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(server.ask, "moody", SLOW) for _ in range(20)]
        arrived = 'front_in_flight{model="moody",version="1.0"} 20.0'
        server.wait_until(lambda: arrived in server.reader.get("/metrics").text)
        os.kill(pid, signal.SIGKILL)
        answers = Counter(each.result().status_code for each in asked)
    # What it held, two batches of one, and who took their places before the front knew that it had gone.
    assert answers[502] + answers[503] <= 4
    assert answers[200] == 20 - answers[502] - answers[503]
    lost = [each.result() for each in asked if each.result().status_code == 502]
    assert {each.json()["type"] for each in lost} <= {"urn:statehouse:problem:worker-ended"}
    assert pids_of(server) != [pid]


def test_of_what_a_killed_worker_had_not_read_yet_nothing_is_lost_silently(server: FaultyServer) -> None:
    """It stands still, so that connections to its door are made and requests are sent, and it reads none of them."""
    [pid] = pids_of(server)
    with ThreadPoolExecutor(10) as pool:
        before = ask_many(server, pool, 10, 1.0)  # connections to it are open by then
        assert {each.status_code for each in before} == {200}
        os.kill(pid, signal.SIGSTOP)
        asked = [pool.submit(server.ask, "moody", 1.0) for _ in range(10)]
        arrived = 'front_in_flight{model="moody",version="1.0"} 10.0'
        server.wait_until(lambda: arrived in server.reader.get("/metrics").text)
        os.kill(pid, signal.SIGKILL)
        answers = [each.result() for each in asked]
    lost = [each for each in answers if each.status_code != 200]
    assert len(lost) <= 4  # what was sent to it, two batches of one, and who took their places
    assert {each.json()["type"].rpartition(":")[2] for each in lost} <= {"worker-ended", "unavailable"}
    assert pids_of(server) != [pid]


@pytest.mark.parametrize("worker_count", [1, 2])
def test_an_idle_worker_that_stands_still_is_found_out(server: FaultyServer, worker_count: int) -> None:
    if worker_count > 1:
        server.run("scale", "moody", "1.0", str(worker_count))
    pid = pids_of(server)[0]
    os.kill(pid, signal.SIGSTOP)
    server.wait_until(lambda: pid not in pids_of(server) and server.is_ready())
    assert server.ask("moody", timeout=30).status_code == 200
    assert "answered nothing" in server.log.read_text()


def test_a_busy_worker_that_stands_still_costs_only_what_it_holds(make_server: MakeServer) -> None:
    server = make_server()
    server.publish("1.0")
    server.deploy("1.0", batch_size=1, limits={"request_timeout_seconds": 6})
    server.start()
    server.run("scale", "moody", "1.0", "2")
    pid = pids_of(server)[0]
    with server.load(rate=20, connections=0, bodies=(body_of(10.05),)) as load:
        server.wait_until(lambda: load.answered > 20)
        os.kill(pid, signal.SIGSTOP)
        before = load.answered
        server.wait_until(lambda: load.answered > before + 60)  # the other goes on
        server.wait_until(lambda: pid not in pids_of(server) and server.is_ready())
    assert load.result.failed <= 2
    assert not load.result.errors


def test_a_door_whose_socket_is_gone_is_made_anew(server: FaultyServer) -> None:
    [pid] = pids_of(server)
    [door] = doors_of(server)
    with server.load(rate=50, connections=2) as load:
        server.wait_until(lambda: load.answered > 50)
        door.unlink()
        server.wait_until(lambda: pids_of(server) not in ([], [pid]) and server.is_ready())
        before = load.answered
        server.wait_until(lambda: load.answered > before + 50)
    assert load.result.statuses.keys() <= {200, 502, 503}
    assert load.result.failed <= 6
    assert not load.result.errors


def test_two_versions_of_one_digest_have_each_their_own_door(make_server: MakeServer) -> None:
    server = make_server()
    for version in ("1.0", "1.1"):
        server.publish(version, seed=1)
    server.deploy("1.0", "1.1")
    server.start()
    rows = {row["version"]: row for row in server.status()["models"]}
    assert rows["1.0"]["digest"] == rows["1.1"]["digest"]
    for version in ("1.0", "1.1") * 5:
        assert server.ask(f"moody/{version}").headers["x-model-version"] == version
    os.kill(pids_of(server, "1.1")[0], signal.SIGKILL)
    for _ in range(20):
        assert server.ask("moody/1.0").headers["x-model-version"] == "1.0"
    assert server.ask("moody/1.1").headers["x-model-version"] == "1.1"


def test_more_versions_than_slots_are_refused_and_what_serves_goes_on(make_server: MakeServer) -> None:
    server = make_server()
    versions = ("1.0", "1.1", "1.2", "1.3", "1.4")
    for version in versions:
        server.publish(version)
    server.deploy(*versions[:4], limits={"slots": 8})
    server.start()
    refused = server.run("swap", "moody", "1.4", check=False)
    assert refused.returncode == 1
    assert "limits.slots" in refused.stdout + refused.stderr
    assert server.serving() == "1.0"
    server.run("retire", "moody", "1.3", "--yes")
    server.run("swap", "moody", "1.4")
    assert server.serving() == "1.4"


def test_a_front_killed_while_doors_are_added_gets_them_all(server: FaultyServer) -> None:
    with server.load(rate=50) as load, ThreadPoolExecutor(1) as pool:
        server.wait_until(lambda: load.answered > 50)
        scaled = pool.submit(server.run, "scale", "moody", "1.0", "3")
        for _ in range(3):  # each while a door is added, or soon after
            with contextlib.suppress(ProcessLookupError):  # it has ended, and that is not known yet
                os.kill(server.status()["pids"]["front"], signal.SIGKILL)
            server.wait_until(server.is_ready)
        scaled.result()
        server.wait_until(lambda: len(pids_of(server)) == 3 and server.is_ready())
        before = load.answered
        server.wait_until(lambda: load.answered > before + 50)
    assert load.result.served_by == {"1.0"}
    assert load.result.statuses.keys() <= {200, 502, 503}


def test_uploads_that_stall_on_every_connection_stop_nobody_else(server: FaultyServer) -> None:
    front = urlsplit(server.announced["front"])
    head = b"POST /predictions/moody HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n"
    uploads = []
    for _ in range(60):
        upload = socket.create_connection((front.hostname, front.port))
        upload.sendall(head + b" " * 40_000)  # more than the front holds
        uploads.append(upload)
    with server.load(rate=50, bodies=CALM) as load:
        server.wait_until(lambda: load.answered > 100)
        statuses = set()
        for upload in uploads:
            upload.settimeout(60)
            statuses.add(upload.recv(12))
            upload.close()
    assert load.result.answers.keys() == {(200, "1.0")}
    # Who still waits for a place when the deadline comes is told 503, and those that had one 408.
    assert b"HTTP/1.1 408" in statuses
    assert statuses <= {b"HTTP/1.1 408", b"HTTP/1.1 503"}
    large = b'{"inputs": [1, 2, 3, 4]' + b" " * 500_000 + b"}"
    assert server.client.post("/predictions/moody", content=large).status_code == 200


def test_half_a_request_and_a_reset_leave_nothing_behind(server: FaultyServer) -> None:
    front = urlsplit(server.announced["front"])
    for size in (10, 1000, 200_000):
        for _ in range(20):
            client = socket.create_connection((front.hostname, front.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(
                b"POST /predictions/moody HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b" " * size
            )
            client.close()
    server.wait_until(
        lambda: 'front_in_flight{model="moody",version="1.0"} 0.0' in server.reader.get("/metrics").text
    )
    for _ in range(20):
        assert server.ask("moody").status_code == 200
