"""Changes aborted at their steps: all is as it was before, and no request is lost by it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import Any

import pytest
from tests.e2e.server import STATEHOUSE
from tests.faults.at_terminal import INTERRUPT, AtTerminal
from tests.faults.conftest import FaultyServer
from tests.faults.test_killed_changes import (
    KINDS,
    SLOW,
    assert_all_is_as_the_file_says,
    begin,
    history,
    kill,
    models_of,
    pending,
    settled,
    wait_for_step,
)

from statehouse.scripts.control.client import ControlClient, user_name

MOMENTS = [
    *[("swap", step) for step in ("load", "drain")],
    ("swap and retire", "drain"),
    *[("swap in its place", step) for step in ("stop", "load")],
    *[("canary", "canary 50%"), ("watched", "watch")],
    ("retire", "retire"),
    *[("scale", step) for step in ("load", "drain")],
    ("trial", "drain"),
    *[("apply", step) for step in ("load", "drain", "retire")],
]


def abort(server: FaultyServer) -> dict[str, Any]:
    return ControlClient(server.deployment_file).abort()


def what_runs(server: FaultyServer) -> dict[tuple[str, str], Any]:
    """Every version that is loaded, whether it is the default, and its settings."""
    return {
        (row["name"], row["version"]): (row["default"], row["state"], row["settings"])
        for row in server.status()["models"]
    }


@pytest.mark.parametrize(("which", "step"), MOMENTS)
def test_an_abort_at_a_step_leaves_all_as_it_was(served: FaultyServer, which: str, step: str) -> None:
    server, kind = served, KINDS[which]
    old, new = settled(server, which)
    before, running = models_of(server), what_runs(server)
    known = len(history(server))
    paths = ["moody", *(f"moody/{version}" for version in before["moody"]["versions"])]
    with contextlib.ExitStack() as loads:
        counted = [
            loads.enter_context(server.load(path, rate=2, connections=0, bodies=SLOW)) for path in paths
        ]
        asked = begin(server, which, old, new)
        wait_for_step(server, step, kind.steps)
        told = abort(server)
    asked.join()
    [entry] = history(server)[known:]
    done = told["outcome"] == "done"  # its last step may have been over already
    assert told["outcome"] == entry["outcome"]
    assert not done or step == kind.steps[-1]
    if not done:
        assert entry["outcome"] == "aborted"
        assert "All is as it was before" in asked.refusal
        assert models_of(server) == before
        assert what_runs(server) == running
    assert_all_is_as_the_file_says(server)
    assert pending(server) is None
    for each in counted:
        assert set(each.result.statuses) <= {200, 410 if done else 200}
        assert not each.result.errors
    kept = server.deployment_file.with_suffix(".rejected.yaml")
    assert kept.exists() == (which == "apply" and not done)
    kept.unlink(missing_ok=True)


def test_a_supervisor_killed_while_it_undoes_finishes_that_at_its_next_start(served: FaultyServer) -> None:
    server = served
    old, new = settled(server, "swap")
    before, known = models_of(server), len(history(server))
    with server.load(f"moody/{new}", rate=2, connections=0, bodies=SLOW), server.load(rate=2, bodies=SLOW):
        asked = begin(server, "swap", old, new)
        wait_for_step(server, "drain", KINDS["swap"].steps)
        ControlClient(server.deployment_file).abort(wait=False)
        server.wait_until(lambda: (pending(server) or {"running": "unload"})["running"] == "unload")
        kill(server)
    asked.join()
    interrupted = pending(server)
    server.start()
    assert models_of(server) == before
    assert_all_is_as_the_file_says(server)
    [entry] = history(server)[known:]
    assert entry["outcome"] == ("interrupted, undone" if interrupted else "aborted")


def test_what_is_not_running_cannot_be_aborted(served: FaultyServer) -> None:
    refused = served.run("abort", check=False)
    assert refused.returncode == 1
    assert "No change is running" in refused.stderr


def long_swap(server: FaultyServer) -> tuple[str, str, tuple[str, ...]]:
    """The version that serves, the other one, and the words of a swap that stays at its canary."""
    old, new = settled(server, "canary")
    return old, new, ("swap", "moody", new, "--canary", "50%", "--step", "60s")


def wait_for_canary(server: FaultyServer) -> None:
    wait_for_step(server, "canary 50%", KINDS["canary"].steps)


def test_ctrl_c_at_a_terminal_asks_and_yes_undoes_it(served: FaultyServer) -> None:
    server = served
    old, new, words = long_swap(server)
    command = AtTerminal(server, *words)
    wait_for_canary(server)
    shown = server.run("status").stdout
    assert f"changing: swap moody {new} by {user_name()}@" in shown
    assert " left (to undo it: statehouse abort)" in shown
    command.type(INTERRUPT)
    command.shows("Abort it and undo what it has done? [y/N] ")
    command.type(b"y\n")
    assert command.ends() == 1
    assert "All is as it was before." in command.shown
    assert server.serving() == old
    assert history(server)[-1]["outcome"] == "aborted"


@pytest.mark.parametrize("second", [INTERRUPT, b"\n"], ids=["Ctrl-C again", "Enter"])
def test_ctrl_c_twice_or_no_answer_leaves_it_to_go_on(served: FaultyServer, second: bytes) -> None:
    server = served
    _, new, words = long_swap(server)
    command = AtTerminal(server, *words)
    wait_for_canary(server)
    command.type(INTERRUPT)
    command.shows("[y/N] ")
    command.type(second)
    assert command.ends() == 130
    assert f"swap moody {new} goes on in the background" in command.shown
    assert server.status()["change"]["step"] == "canary 50%"
    assert abort(server)["outcome"] == "aborted"


def test_a_question_is_over_when_the_change_is(served: FaultyServer) -> None:
    server = served
    old, new = settled(server, "swap")
    with server.load(rate=2, connections=0, bodies=SLOW):
        command = AtTerminal(server, "swap", "moody", new)
        wait_for_step(server, "drain", KINDS["swap"].steps)
        command.type(INTERRUPT)
        assert command.ends() == 0
    assert f"moody: {old} → {new}" in command.shown


def test_a_terminal_that_is_lost_leaves_it_to_go_on(served: FaultyServer) -> None:
    server = served
    _, _, words = long_swap(server)
    command = AtTerminal(server, *words)
    wait_for_canary(server)
    command.hang_up()
    assert command.process.wait(timeout=60) == 128 + signal.SIGHUP
    assert server.status()["change"]["step"] == "canary 50%"
    assert abort(server)["outcome"] == "aborted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_it_goes_on_and_one_line_says_so(served: FaultyServer, number: int) -> None:
    server = served
    _, new, words = long_swap(server)
    command = subprocess.Popen(
        [STATEHOUSE, *words],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=server.folder, env=server.environment(),
    )  # fmt: skip
    wait_for_canary(server)
    command.send_signal(number)
    _, told = command.communicate(timeout=60)
    assert command.returncode == 128 + number
    assert told.splitlines()[-1] == (
        f"swap moody {new} goes on in the background: `statehouse status` shows it, `statehouse abort` undoes it."
    )
    assert server.status()["change"]["aborted_by"] is None
    assert abort(server)["outcome"] == "aborted"


def test_one_that_waits_is_aborted_and_the_other_goes_on(served: FaultyServer) -> None:
    server = served
    old, new, _ = long_swap(server)
    first = begin(server, "canary", old, new)
    wait_for_canary(server)
    command = AtTerminal(server, "retire", "moody", old)
    command.shows("waiting for swap moody")
    command.type(INTERRUPT)
    command.shows("[y/N] ")
    command.type(b"y\n")
    assert command.ends() == 1
    assert "before it began" in command.shown
    assert server.status()["change"]["name"] == "moody"
    assert abort(server)["outcome"] == "aborted"
    first.join()
