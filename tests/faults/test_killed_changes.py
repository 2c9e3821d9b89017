"""SIGKILL at each step of a swap: to the supervisor, and to the command that asked for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.runtime import RuntimeFolder
from tests.e2e.server import STATEHOUSE
from tests.faults.conftest import FaultyServer
from tests.faults.load import body_of
from tests.scripts.test_child_process import ends_soon

STEPS = ["stop", "load", "verify", "flip", "drain"]
SLOW = (body_of(10.5),)  # half a second in the worker, so that there is something to drain


def begin_swap(server: FaultyServer, version: str, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [STATEHOUSE, "swap", "moody", version, *options],
        cwd=server.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def running_step(server: FaultyServer) -> str | None:
    try:
        return json.loads(server.deployment_file.with_suffix(".pending.json").read_text())["running"]
    except FileNotFoundError:
        return None


def wait_for_step(server: FaultyServer, step: str) -> None:
    """Return as soon as a step, or one after it, has begun."""
    reached = set(STEPS[STEPS.index(step) :])
    deadline = time.monotonic() + 60
    while running_step(server) not in reached:
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def other_than(version: str) -> str:
    return "1.1" if version == "1.0" else "1.0"


def processes_of(server: FaultyServer) -> list[int]:
    told = str(RuntimeFolder.of_deployment(server.deployment_file).path).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if told in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


@pytest.mark.parametrize(
    ("step", "options"),
    [
        ("load", ()),
        ("verify", ()),
        ("flip", ()),
        ("drain", ()),
        ("stop", ("--replace",)),
        ("load", ("--replace",)),
    ],
)
def test_a_supervisor_killed_at_a_step_leaves_one_version_wholly(
    served: FaultyServer, step: str, options: tuple[str, ...]
) -> None:
    server = served
    before = server.serving()
    wanted = other_than(before)
    server.run("retire", "moody", wanted, check=False)  # so that there is something to load
    known = len(server.history())
    with server.load(rate=2, connections=0, bodies=SLOW):
        server.wait_until(lambda: len(processes_of(server)) > 0)
        command = begin_swap(server, wanted, *options)
        wait_for_step(server, step)
        left = processes_of(server)
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        assert command.wait(timeout=30) == 1
    interrupted_at = running_step(server)
    assert_nobody_answers(server)
    desired = server.read_deployment()["models"]["moody"]
    server.start()
    assert server.announced["ready"]
    assert server.serving() == desired["default"]
    assert {row["version"] for row in server.status()["models"]} == desired["versions"].keys()
    assert set(server.status()["pids"].values()).isdisjoint(left)
    for pid in left:
        assert ends_soon(pid)
    [entry] = server.history()[known:]
    finished = desired["default"] == wanted
    assert finished == (interrupted_at == "drain") or interrupted_at == "flip"
    assert entry["outcome"] == ("interrupted, finished" if finished else "interrupted, undone")
    assert interrupted_at in entry["reason"]
    assert (entry["serving"], entry["to"]["version"]) == (desired["default"], wanted)
    assert running_step(server) is None


def assert_nobody_answers(server: FaultyServer) -> None:
    front = urlsplit(server.announced["front"])
    server.wait_until(lambda: refuses((front.hostname, front.port)), seconds=10)


def refuses(address: tuple[str | None, int | None]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("step", ["load", "verify", "flip", "drain"])
def test_a_command_killed_at_a_step_changes_nothing_of_the_swap(served: FaultyServer, step: str) -> None:
    server = served
    before = server.serving()
    wanted = other_than(before)
    server.run("retire", "moody", wanted, check=False)
    known = len(server.history())
    with server.load(rate=20) as load, server.load(rate=2, connections=0, bodies=SLOW) as slow:
        server.wait_until(lambda: load.answered > 20)
        command = begin_swap(server, wanted)
        wait_for_step(server, step)
        command.kill()
        command.wait()
        server.wait_until(lambda: len(server.history()) > known)
    assert server.serving() == wanted
    [entry] = server.history()[known:]
    assert (entry["kind"], entry["outcome"], entry["failed"]) == ("swap", "done", 0)
    assert [each["name"] for each in entry["steps"]] == ["load", "verify", "flip", "drain"]
    for counted in (load.result, slow.result):
        assert counted.statuses.keys() == {200}
        assert not counted.errors


def test_a_server_stopped_while_it_changes_says_so(served: FaultyServer) -> None:
    server = served
    before = server.serving()
    server.run("retire", "moody", other_than(before), check=False)
    command = begin_swap(server, other_than(before))
    wait_for_step(server, "load")
    assert server.stop() == 0
    assert command.wait(timeout=30) == 1
    server.start()
    assert server.serving() == before
    assert server.history()[-1]["outcome"] == "interrupted, undone"
