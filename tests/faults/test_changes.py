"""What operators do all day, under counted load: it loses nothing, and the history says all of it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
from tests.e2e.server import STATEHOUSE
from tests.e2e.torchserve_grpc import predict
from tests.faults.at_terminal import AtTerminal
from tests.faults.conftest import FaultyServer
from tests.faults.load import CountedLoad, body_of
from tests.faults.moody_nets import HOLD, POISON

from statehouse.scripts.control.client import ControlClient, user_name

WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def assert_lost_nothing(*loads: CountedLoad) -> None:
    for load in loads:
        assert load.result.statuses.keys() == {200}
        assert not load.result.errors


def assert_complete(entry: dict[str, Any], kind: str, before: str | None, after: str) -> None:
    assert (entry["kind"], entry["name"], entry["outcome"]) == (kind, "moody", "done")
    assert WHEN.fullmatch(entry["when"])
    assert (entry["user"], entry["host"]) == (user_name(), socket.gethostname())
    assert entry["from"]["version"] == before
    assert entry["to"]["version"] == after
    for side in ("from", "to"):
        assert re.fullmatch(r"[0-9a-f]{64}", entry[side]["digest"])
    assert all(step["ok"] and step["seconds"] >= 0 for step in entry["steps"])
    assert entry["seconds"] >= sum(step["seconds"] for step in entry["steps"])
    assert entry["requests"] > 0
    assert entry["failed"] == 0
    assert 0 <= entry["slowest_seconds"] < 30
    assert entry["reason"] is None


def test_a_day_of_changes_loses_nothing(served: FaultyServer) -> None:
    server = served
    with server.load() as load, server.load("moody/1.0", rate=30, connections=1) as explicit:
        server.wait_until(lambda: load.answered > 50)
        server.run("swap", "moody", "1.1")
        server.run("scale", "moody", "1.1", "2")
        server.run("scale", "moody", "1.1", "1")
        server.run("rollback", "moody")
        server.run("swap", "moody", "1.1", "--watch", "3s", "--max-latency-ratio", "1000")
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert_lost_nothing(load, explicit)
    assert load.result.served_by == {"1.0", "1.1"}
    assert explicit.result.served_by == {"1.0"}
    history = server.history()
    told = [("swap", "1.0", "1.1"), ("scale", "1.1", "1.1"), ("scale", "1.1", "1.1")]
    told += [("rollback", "1.1", "1.0"), ("swap", "1.0", "1.1")]
    for entry, (kind, before, after) in zip(history, told, strict=True):
        assert_complete(entry, kind, before, after)
    assert [step["name"] for step in history[0]["steps"]] == ["load", "verify", "flip", "drain"]
    assert [step["name"] for step in history[3]["steps"]] == ["verify", "flip", "drain"]  # at once
    assert server.model("moody", "1.1")["workers"]["ready"] == 1


def test_a_canary_that_does_well_becomes_the_default(served: FaultyServer) -> None:
    server = served
    options = ("--canary", "20%,100%", "--step", "2s", "--max-latency-ratio", "1000")
    with server.load() as load:
        server.wait_until(lambda: load.answered > 50)
        server.run("swap", "moody", "1.2", *options)
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert_lost_nothing(load)
    steps = [step["name"] for step in server.history()[-1]["steps"]]
    assert steps[:5] == ["load", "verify", "canary 20%", "canary 100%", "flip"]
    # 1.1 is kept to go back to; what was kept before it is not.
    assert {row["version"] for row in server.status()["models"]} == {"1.1", "1.2"}


def test_a_roll_back_to_what_is_not_loaded_any_more_is_a_full_swap(served: FaultyServer) -> None:
    server = served
    server.run("retire", "moody", "1.1")
    with server.load() as load:
        server.wait_until(lambda: load.answered > 50)
        server.run("rollback", "moody")
    assert_lost_nothing(load)
    assert server.serving() == "1.1"
    assert server.history()[-1]["steps"][0]["name"] == "load"


def test_retiring_waits_for_requests_that_name_it_and_refuses_them_then(served: FaultyServer) -> None:
    server = served
    slow: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: slow.append(server.ask("moody/1.2", 12)))  # two seconds
    waiting.start()
    server.wait_until(lambda: server.model("moody", "1.2")["workers"]["ready"] == 1)
    with server.load() as load:
        server.run("retire", "moody", "1.2")
        waiting.join()
    assert slow[0].status_code == 200
    assert_lost_nothing(load)
    refused = server.ask("moody/1.2")
    assert refused.status_code == 410
    assert "retired" in refused.json()["detail"]
    server.run("retire", "moody", "1.1", "--drain", "5s", "--yes")  # the last one may go
    assert server.ask().status_code == 404
    server.run("swap", "moody", "1.1")
    assert server.serving() == "1.1"


def test_retiring_the_default_beside_others_is_refused(served: FaultyServer) -> None:
    served.run("swap", "moody", "1.0")
    refused = served.run("retire", "moody", "1.0", check=False)
    assert refused.returncode == 1
    assert "is the default" in refused.stderr
    assert served.serving() == "1.0"


def test_retiring_the_last_version_of_a_name_is_asked_about(served: FaultyServer) -> None:
    server = served
    server.publish("1.0", name="lonely")
    server.run("swap", "lonely", "1.0")
    refused = server.run("retire", "lonely", "1.0", check=False)
    assert refused.returncode == 1
    assert "statehouse retire lonely 1.0 --yes" in refused.stderr
    for answer, code in ((b"\n", 1), (b"y\n", 0)):
        assert server.serving("lonely") == "1.0"
        command = AtTerminal(server, "retire", "lonely", "1.0")
        command.shows("lonely 1.0 is the last version of lonely")
        command.shows("Retire it? [y/N] ")
        command.type(answer)
        assert command.ends() == code
    assert server.ask("lonely").status_code == 404
    server.run("swap", "lonely", "1.0")
    server.run("retire", "lonely", "1.0", "--yes")


@contextmanager
def held(server: FaultyServer) -> Iterator[Callable[[], int]]:
    """A request that is in flight until the end of the block; what is yielded lets it go, and returns its status."""
    hold = server.folder / HOLD.name
    hold.touch()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.ask, "moody", 1, 2, POISON, timeout=600)

        def finish() -> int:
            hold.unlink(missing_ok=True)
            return waiting.result().status_code

        try:
            server.wait_until(lambda: rows_in_flight(server, "1.0") > 0)
            yield finish
        finally:
            hold.unlink(missing_ok=True)


def begin(server: FaultyServer, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [STATEHOUSE, *command],
        cwd=server.folder,
        env=server.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_second_operator_waits_or_is_told(served: FaultyServer) -> None:
    server = served
    server.run("swap", "moody", "1.0")
    with held(server) as finish:
        first = begin(server, "swap", "moody", "1.2", "--drain", "600s")
        server.wait_until(lambda: server.read_deployment()["models"]["moody"]["default"] == "1.2")
        told = server.run("swap", "moody", "1.1", "--no-wait", check=False)
        assert told.returncode == 1
        assert f"swap moody 1.2 by {user_name()}@{socket.gethostname()} is running" in told.stderr
        assert "moody is served by 1.2." in told.stderr
        second = begin(server, "swap", "moody", "1.0")
        assert second.stderr is not None
        assert "waiting for swap moody" in second.stderr.readline()
        assert finish() == 200
    for each in (first, second):
        each.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert server.serving() == "1.0"
    again = server.run_json("swap", "moody", "1.0")
    assert (again["changed"], again["serving"]) == (False, "1.0")


def test_what_comes_by_grpc_is_drained_too(served: FaultyServer) -> None:
    """The front does not see it; one request takes three seconds, others come all the time."""
    server = served
    address, token = server.status()["grpc"], ControlClient(server.deployment_file).inference_token()
    over = threading.Event()

    def ask(*inputs: float) -> bytes:
        return predict(address, "moody", body_of(*inputs).content, token=token)

    def ask_all_the_time() -> int:
        count = 0
        while not over.is_set():
            assert b"outputs" in ask(1)
            count += 1
        return count

    with ThreadPoolExecutor() as pool:
        others = [pool.submit(ask_all_the_time) for _ in range(2)]
        try:
            slow = pool.submit(ask, 13)
            server.wait_until(lambda: rows_in_flight(server, "1.0") > 0)
            server.run("swap", "moody", "1.1", "--retire")
        finally:
            over.set()
        assert b"outputs" in slow.result()
        assert all(other.result() > 0 for other in others)
    assert {row["version"] for row in server.status()["models"]} == {"1.1"}
    server.run("swap", "moody", "1.0")


def rows_in_flight(server: FaultyServer, version: str) -> float:
    wanted = f'statehouse_rows_in_flight{{model="moody",version="{version}"}} '
    lines = server.reader.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


def test_what_no_change_can_mean_is_refused_in_words(served: FaultyServer) -> None:
    for command in (["swap", "moody", "9.9"], ["swap", "a b", "1.0"], ["scale", "moody", "9.9", "2"]):
        refused = served.run(*command, check=False)
        assert refused.returncode != 0
        assert "Traceback" not in refused.stderr
        assert "Internal" not in refused.stderr
    nothing = served.run("rollback", "unknown", check=False)
    assert "no version to roll back to" in nothing.stderr
    assert served.serving() == "1.0"


def test_problems_alone_are_written_down_also_while_changes_run(served: FaultyServer) -> None:
    server = served
    server.ask("nobody")
    problems = server.deployment_file.with_suffix(".problems.jsonl")
    server.wait_until(lambda: "no-such-model" in problems.read_text())
    lines = [json.loads(line) for line in problems.read_text().splitlines()]
    assert {line["event"] for line in lines} == {"problem"}
    assert not any(line["status"] == 200 for line in lines)
    assert not server.deployment_file.with_suffix(".requests.jsonl").exists()
    shown = server.run("logs", "--of", "problems", "-n", "1").stdout
    assert " 404 no-such-model POST /predictions/nobody " in shown


def test_what_the_servers_said_is_shown_while_they_run_and_when_they_have_stopped(
    served: FaultyServer,
) -> None:
    server = served
    following = subprocess.Popen(
        [STATEHOUSE, "logs", "--of", "supervisor", "-n", "1", "-f"],
        stdout=subprocess.PIPE, text=True, cwd=server.folder, env=server.environment(),
    )  # fmt: skip
    assert following.stdout is not None
    following.stdout.readline()  # it follows from here on
    server.run("swap", "moody", "1.1")
    for line in following.stdout:
        if "swap moody 1.1: done" in line:
            break
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=60)
    assert following.returncode == 0
    assert server.stop() == 0
    assert server.run("logs", "-n", "1").stdout.endswith(" supervisor the servers have stopped\n")
    workers = server.run("logs", "--of", "worker", "--json", "-n", "2").stdout.splitlines()
    assert [json.loads(line)["of"] for line in workers] == ["worker", "worker"]
    absent = server.run("logs", "--deployment", "nowhere.yaml", check=False)
    assert (absent.returncode, "has not been served" in absent.stderr) == (1, True)
