"""SIGKILL to Java, to the front, to a worker, at each step of a swap under counted load."""

from __future__ import annotations

import copy

import pytest
from tests.faults.conftest import FaultyServer
from tests.faults.load import MOST_IN_FLIGHT
from tests.faults.test_killed_changes import (
    KINDS,
    SLOW,
    SWAP_STEPS,
    Asked,
    assert_all_is_as_the_file_says,
    begin,
    history,
    models_of,
    pending,
    settled,
    wait_for_step,
)
from tests.faults.test_killed_servers import BROKEN, kill, kill_torchserve


def finish(server: FaultyServer, asked: Asked) -> None:
    asked.join()
    server.wait_until(server.is_ready)
    assert pending(server) is None
    assert_all_is_as_the_file_says(server)


@pytest.mark.parametrize(
    ("which", "step"),
    [*[("swap", step) for step in SWAP_STEPS], ("swap and retire", "retire"), ("apply", "load")],
)
def test_java_killed_at_a_step_undoes_or_finishes_it(served: FaultyServer, which: str, step: str) -> None:
    server, kind = served, KINDS[which]
    old, new = settled(server, which)
    before = models_of(server)
    aim = copy.deepcopy(before)
    kind.aim(aim, old, new)
    pid = server.status()["pids"]["torchserve"]
    with server.load(rate=50) as load, server.load(f"moody/{old}", rate=2, connections=0, bodies=SLOW):
        server.wait_until(lambda: load.answered > 50)
        asked = begin(server, which, old, new)
        wait_for_step(server, step, kind.steps)
        gone = kill_torchserve(server, pid)
        finish(server, asked)
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    entry = history(server)[-1]
    finished = entry["outcome"] in ("interrupted, finished", "done")
    assert finished or entry["outcome"] in ("interrupted, undone", "failed")
    assert (asked.refusal is None) == (entry["outcome"] == "done")
    assert asked.refusal is None or "TorchServe" in asked.refusal or "moody is served by" in asked.refusal
    assert models_of(server) == (aim if finished else before)
    assert load.result.served_by <= {old, new}
    # What was sent to it on a connection that had been used: HAProxy may close that without an answer.
    assert set(load.result.errors) <= {"closed_before_answer"}
    assert load.result.failed <= MOST_IN_FLIGHT
    assert load.result.last_failed_sent < gone
    kept = server.deployment_file.with_suffix(".rejected.yaml")
    assert kept.exists() == (which == "apply" and not finished)
    kept.unlink(missing_ok=True)


@pytest.mark.parametrize("step", ["load", "flip", "drain"])
def test_the_front_killed_at_a_step_is_waited_for(served: FaultyServer, step: str) -> None:
    server = served
    old, new = settled(server, "swap")
    pid = server.status()["pids"]["front"]
    with server.load(rate=50) as load, server.load(rate=2, connections=0, bodies=SLOW):
        server.wait_until(lambda: load.answered > 50)
        asked = begin(server, "swap", old, new)
        wait_for_step(server, step, SWAP_STEPS)
        gone = kill(pid)
        finish(server, asked)
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert asked.refusal is None
    assert server.serving() == new
    assert load.result.served_by == {old, new}
    assert set(load.result.statuses) == {200}
    assert set(load.result.errors) <= BROKEN
    assert load.result.last_failed_connected < gone


@pytest.mark.parametrize("step", ["load", "drain"])
def test_a_worker_of_the_old_version_killed_at_a_step_changes_nothing(
    served: FaultyServer, step: str
) -> None:
    server = served
    old, new = settled(server, "swap")
    [pid] = server.model("moody", old)["workers"]["pids"]
    with server.load(rate=50) as load, server.load(rate=2, connections=0, bodies=SLOW):
        server.wait_until(lambda: load.answered > 50)
        asked = begin(server, "swap", old, new)
        wait_for_step(server, step, SWAP_STEPS)
        kill(pid)
        finish(server, asked)
    assert asked.refusal is None
    assert server.serving() == new
    assert not load.result.errors
    assert set(load.result.statuses) <= {200, 502, 503}
    assert load.result.failed <= MOST_IN_FLIGHT
