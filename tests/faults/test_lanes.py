"""A version in three lanes: requests go past one without a worker, and past one whose worker has a large body."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx

from tests.faults.conftest import FaultyServer

LANES = [{"batch_size": 1, "up_to": 1}, {"batch_size": 4, "up_to": 3}, {"batch_size": 32}]


def workers_of(server: FaultyServer) -> list[dict[str, Any]]:
    return [lane["workers"] for lane in server.model("moody", "1.0")["lanes"]]


def metrics_of(server: FaultyServer) -> str:
    return server.reader.get("/metrics").text


def test_a_lane_without_a_worker_is_passed_by(make_server: Callable[[], FaultyServer]) -> None:
    server = make_server()
    server.publish("1.0")
    server.deploy("1.0", lanes=LANES)
    server.start()
    workers = workers_of(server)
    assert [lane["ready"] for lane in workers] == [1, 1, 1]
    assert server.model("moody", "1.0")["memory_bytes"] > 3 * 20 << 20
    with server.load(rate=20, connections=0) as load:
        server.wait_until(lambda: load.answered > 20)
        folder = (server.store / "moody-1.0").rename(server.folder / "away")  # or they are back at once
        for lane in workers[:2]:
            [pid] = lane["pids"]
            os.kill(pid, signal.SIGKILL)
        server.wait_until(lambda: [lane["ready"] for lane in workers_of(server)] == [0, 0, 1])
        before = load.answered
        server.wait_until(lambda: load.answered > before + 20)
        assert [lane["ready"] for lane in workers_of(server)] == [0, 0, 1]  # it was the third that answered
        folder.rename(server.store / "moody-1.0")
        server.wait_until(server.is_ready)
    assert load.result.served_by == {"1.0"}
    assert load.result.failed <= 4  # one in flight in each, and what came before that was known


def test_nobody_waits_behind_a_large_body(make_server: Callable[[], FaultyServer]) -> None:
    server = make_server()
    server.publish("1.0")
    server.deploy(
        "1.0", lanes=[{"batch_size": 1, "up_to": 3}, {"batch_size": 4, "up_to": 6}, {"batch_size": 32}]
    )
    server.start()
    (server.folder / "hold").touch()
    large = b'{"inputs": [1, 2, 13, 4]}'.ljust(300_000)  # the worker holds it
    held: list[Future[httpx.Response]] = []
    with ThreadPoolExecutor(50) as pool:

        def send_large() -> None:
            held.append(pool.submit(server.client.post, "/predictions/moody", content=large, timeout=60))
            arrived = f'front_in_flight{{model="moody",version="1.0"}} {len(held)}.0'
            server.wait_until(lambda: arrived in metrics_of(server))

        send_large()
        small = [server.ask("moody", 1, 2, 3, 4, timeout=20) for _ in range(5)]
        for _ in range(5):
            send_large()  # the lane is left to it for some seconds
            small += pool.map(lambda _: server.ask("moody", 1, 2, 3, 4, timeout=20), range(40))
        assert {answer.status_code for answer in small} == {200}
        assert not any(each.done() for each in held)
        (server.folder / "hold").unlink()
        assert {each.result().status_code for each in held} == {200}
