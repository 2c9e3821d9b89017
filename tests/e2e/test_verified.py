"""What a swap, a canary and a restart must not let through, on one real server."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from tests.e2e.server import Server

from statehouse.models import TensorTask, build_model, save_checkpoint


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("verified"))
    for version, inputs in (("1.0", 3), ("1.1", 3), ("2.0", 4)):
        publish(server, version, inputs)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listen = {"front": f"127.0.0.1:{port}", "reader": "127.0.0.1:0", "grpc": "127.0.0.1:0"}
    versions = {"1.0": {"batch_size": 4}}
    server.write_deployment(listen=listen, models={"net": {"default": "1.0", "versions": versions}})
    server.start()
    yield server
    server.kill_if_running()


def publish(server: Server, version: str, inputs: int) -> None:
    config = {"input_size": inputs, "hidden_size": 4, "num_classes": 2}
    path = server.folder / f"net-{version}.pt"
    save_checkpoint(
        path, build_model("simple_net", config), architecture="simple_net", config=config, task=TensorTask()
    )
    server.run("publish", str(path), "--name", "net", "--version", version)


def default_of(server: Server) -> str:
    return server.read_deployment()["models"]["net"]["default"]


def test_a_swap_to_another_shape_is_refused_with_what_clients_would_meet(server: Server) -> None:
    refused = server.run("swap", "net", "2.0", check=False)
    assert refused.returncode == 1
    assert "has another interface than 1.0" in refused.stderr
    assert "shape [-1, 3] → [-1, 4]" in refused.stderr
    assert "--allow-new-interface" in refused.stderr
    assert default_of(server) == "1.0"
    assert {row["version"] for row in server.status()["models"]} == {"1.0"}


def test_whoever_allows_it_swaps_and_a_roll_back_asks_nothing(server: Server) -> None:
    server.run("swap", "net", "2.0", "--allow-new-interface")
    assert server.client.post("/predictions/net", json={"inputs": [1, 2, 3, 4]}).status_code == 200
    server.run("rollback", "net")
    assert server.client.post("/predictions/net", json={"inputs": [1, 2, 3]}).status_code == 200
    server.run("retire", "net", "2.0")


def test_a_canary_without_traffic_does_not_flip(server: Server) -> None:
    told = server.run("swap", "net", "1.1", "--canary", "50%", "--step", "1s", check=False)
    assert told.returncode == 1
    assert "it had 0 requests, and at least 50 are needed" in told.stderr
    assert default_of(server) == "1.0"
    assert {row["version"] for row in server.status()["models"]} == {"1.0"}


def test_who_wants_a_canary_without_traffic_to_flip_says_so(server: Server) -> None:
    options = ("--canary", "50%", "--step", "1s", "--without-traffic", "flip")
    server.run("swap", "net", "1.1", *options)
    assert default_of(server) == "1.1"
    server.run("rollback", "net")


def test_a_mistyped_name_is_no_failed_change(server: Server) -> None:
    refused = server.run("swap", "nett", "1.1", check=False)
    assert refused.returncode == 1
    assert "Did you mean 'net'?" in refused.stderr
    assert server.run_json("history")[-1]["outcome"] == "refused"
    metrics = server.reader.get("/metrics").text
    assert "nett" not in metrics
    assert 'outcome="failed"' not in "\n".join(
        line
        for line in metrics.splitlines()
        if line.startswith("statehouse_changes_total") and line[-3:] != "0.0"
    )


@contextmanager
def steady_clients(server: Server) -> Iterator[Counter[object]]:
    """Two clients ask on and on, and are answered by the end; what they got."""
    url, ended, seen = server.announced["front"], threading.Event(), Counter[object]()

    def ask(path: str) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not ended.is_set():
                began = time.monotonic()
                try:
                    answer = client.post(path, content=json.dumps({"inputs": [1, 2, 3]}))
                except httpx.TransportError:
                    seen["not connected"] += 1
                    time.sleep(0.02)
                    continue
                seen[answer.status_code] += 1
                if answer.status_code == 503:
                    seen["waited to its deadline"] += time.monotonic() - began >= 0.9  # 95 % of it
                    seen["may come again"] += "retry-after" in answer.headers

    clients = [
        threading.Thread(target=ask, args=(path,)) for path in ("/predictions/net", "/predictions/net/1.0")
    ]
    for client in clients:
        client.start()
    try:
        yield seen
        before, deadline = seen[200], time.monotonic() + 120
        while seen[200] < before + 20:
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
    finally:
        ended.set()
        for client in clients:
            client.join()


def test_a_steady_client_sees_no_404_across_a_restart(server: Server) -> None:
    """A new server holds requests for all that it is going to load, those that name no version too."""
    with steady_clients(server) as seen:
        server.stop()
        server.start()
    assert set(seen) == {200, "not connected"}, seen


def test_who_waits_for_a_start_to_its_deadline_is_told_when_to_come_again(server: Server) -> None:
    """TorchServe takes longer than a second to start. Nobody is told meanwhile that there is no such version."""
    server.stop()
    server.write_deployment(**server.read_deployment() | {"limits": {"request_timeout_seconds": 1}})
    asked_about, url = set(), f"{server.announced['front']}/v2/models/net/versions/1.0/ready"
    with steady_clients(server) as seen, ThreadPoolExecutor(1) as pool:
        starting = pool.submit(server.start)
        while not starting.done():
            with contextlib.suppress(httpx.TransportError):
                asked_about.add(httpx.get(url).status_code)
        starting.result()
    assert set(seen) - {504} == {200, 503, "not connected", "waited to its deadline", "may come again"}, seen
    assert seen["waited to its deadline"] == seen["may come again"] == seen[503]
    assert 503 in asked_about
    assert asked_about <= {200, 503}
