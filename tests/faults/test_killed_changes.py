"""SIGKILL at each step of every kind of change: to the supervisor, and to the command that asked for it."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.e2e.server import STATEHOUSE
from tests.faults.conftest import FaultyServer
from tests.faults.load import body_of
from tests.scripts.servers.test_child_process import ends_soon

from statehouse.models.errors import StatehouseError
from statehouse.scripts.control.client import ControlClient, user_name
from statehouse.scripts.deployment.file import Deployment, VersionSettings
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.servers.private_folder import RuntimeFolder

Models = dict[str, Any]
SLOW = (body_of(10.5),)  # half a second in the worker, so that there is something to drain
OTHER_SETTINGS = {"workers": 2, "batch_size": 4}


def in_full(settings: dict[str, Any]) -> dict[str, Any]:
    return VersionSettings.model_validate(settings).model_dump(mode="json")


SETTINGS = in_full({"batch_size": 8})


@dataclass(frozen=True)
class Kind:
    """A kind of change, from the version that serves and the other: what is asked, its steps, what comes of it.

    ``loaded``: the other version is loaded before. From the step ``decided`` on it is finished, before it is undone.
    """

    kind: str
    wanted: Callable[[str, str], dict[str, Any]]
    steps: tuple[str, ...]
    decided: str | None
    aim: Callable[[Models, str, str], None]
    loaded: bool = False


def swapped(models: Models, old: str, new: str) -> None:
    model = models["moody"]
    settings = model["versions"].get(new, model["versions"][old])
    model |= {"default": new, "previous": old, "versions": model["versions"] | {new: settings}}


def swapped_and_retired(models: Models, old: str, new: str) -> None:
    swapped(models, old, new)
    del models["moody"]["versions"][old]


def retired(models: Models, old: str, new: str) -> None:
    del models["moody"]["versions"][new]


def scaled(models: Models, old: str, new: str) -> None:
    models["moody"]["versions"][old]["workers"] = 2


def tuned(models: Models, old: str, new: str) -> None:
    models["moody"]["versions"][old] = in_full(OTHER_SETTINGS)


def nothing(models: Models, old: str, new: str) -> None: ...


def edited(models: Models, old: str, new: str) -> None:
    """One version more, its default, the old one gone, and a name that is new."""
    swapped_and_retired(models, old, new)
    grumpy = {"default": "1.0", "previous": None, "versions": {"1.0": models["moody"]["versions"][new]}}
    models["grumpy"] = grumpy


def edit(server: FaultyServer, old: str, new: str) -> None:
    if not (server.store / "grumpy-1.0").exists():
        server.publish("1.0", name="grumpy")
    wanted = copy.deepcopy(server.read_deployment())
    edited(wanted["models"], old, new)
    server.deployment_file.write_text(yaml.safe_dump(json.loads(json.dumps(wanted))))


SWAP_STEPS = ("load", "verify", "flip", "drain")


def to_new(**options: Any) -> Callable[[str, str], dict[str, Any]]:
    return lambda old, new: {"name": "moody", "version": new} | options


def of_old(**options: Any) -> Callable[[str, str], dict[str, Any]]:
    return lambda old, new: {"name": "moody", "version": old} | options


KINDS = {
    "swap": Kind("swap", to_new(), SWAP_STEPS, "flip", swapped),
    "swap and retire": Kind(
        "swap", to_new(retire=True), (*SWAP_STEPS, "retire"), "flip", swapped_and_retired
    ),
    "swap in its place": Kind(
        "swap", to_new(replace=True), ("stop", "load", "verify", "flip"), "flip", swapped_and_retired
    ),
    "canary": Kind(
        "swap",
        to_new(canary_shares=[0.5], canary_step_seconds=60, max_latency_ratio=1000),
        ("load", "verify", "canary 50%"),
        None,
        swapped,
    ),
    "watched": Kind(
        "swap",
        to_new(watch_seconds=60, max_latency_ratio=1000),
        ("load", "verify", "baseline", "flip", "watch"),
        None,
        swapped,
    ),
    "rollback": Kind(
        "rollback",
        lambda old, new: {"name": "moody"},
        ("verify", "flip", "drain"),
        "flip",
        swapped,
        loaded=True,
    ),
    "retire": Kind("retire", to_new(), ("retire",), "retire", retired, loaded=True),
    "scale": Kind("scale", of_old(workers=2), ("load", "flip", "drain"), "flip", scaled),
    "trial": Kind("trial", of_old(settings=OTHER_SETTINGS), ("load", "flip", "drain"), None, nothing),
    "tune": Kind("tune", of_old(settings=OTHER_SETTINGS), ("load", "flip", "drain"), "flip", tuned),
    "apply": Kind("apply", lambda old, new: {}, (*SWAP_STEPS, "retire"), "verify", edited),
}
MOMENTS = [
    *[("swap", step) for step in SWAP_STEPS],
    *[("swap and retire", step) for step in ("drain", "retire")],
    *[("swap in its place", step) for step in ("stop", "load", "flip")],
    *[("canary", "canary 50%"), ("watched", "watch")],
    *[("rollback", step) for step in ("flip", "drain")],
    ("retire", "retire"),
    *[("scale", step) for step in ("load", "flip", "drain")],
    *[("trial", step) for step in ("load", "drain")],
    *[("tune", step) for step in ("load", "flip")],
    *[("apply", step) for step in ("load", "flip", "retire")],
]


class Asked(threading.Thread):
    """Asks for a change, as a command does."""

    def __init__(self, server: FaultyServer, kind: Kind, old: str, new: str) -> None:
        super().__init__(daemon=True)
        self._client = ControlClient(server.deployment_file)
        self._kind, self._wanted = kind.kind, kind.wanted(old, new)
        self.refusal: str | None = None

    def run(self) -> None:
        try:
            self._client.change(self._kind, lambda step: None, **self._wanted)
        except StatehouseError as error:
            self.refusal = str(error)


def begin(server: FaultyServer, which: str, old: str, new: str) -> Asked:
    if which == "apply":
        edit(server, old, new)
    asked = Asked(server, KINDS[which], old, new)
    asked.start()
    return asked


def pending(server: FaultyServer) -> dict[str, Any] | None:
    try:
        return dict(json.loads(server.deployment_file.with_suffix(".pending.json").read_text()))
    except FileNotFoundError:
        return None


def wait_for_step(server: FaultyServer, step: str, steps: tuple[str, ...]) -> None:
    """Return as soon as a step, or one after it, has begun."""
    reached = steps[steps.index(step) :]
    deadline = time.monotonic() + 240
    while (entry := pending(server)) is None or entry["running"] not in reached:
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def models_of(server: FaultyServer) -> dict[str, Any]:
    """What the file says, with what it leaves out."""
    return Deployment.model_validate(server.read_deployment()).model_dump(mode="json")["models"]


def processes_of(server: FaultyServer) -> list[int]:
    told = str(RuntimeFolder.of_deployment(server.deployment_file).path).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if told in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def history(server: FaultyServer) -> list[dict[str, Any]]:
    return list(Journal(server.deployment_file).read())


def settled(server: FaultyServer, which: str) -> tuple[str, str]:
    """See that 1.0 or 1.1 serves alone, or that the other is loaded to go back to; return both, the default first."""
    client = ControlClient(server.deployment_file)
    old = server.serving()
    new = "1.1" if old == "1.0" else "1.0"
    models = models_of(server)
    for name, model in models.items():
        for version in model["versions"]:
            if (name, version) != ("moody", old):
                client.change("retire", lambda step: None, name=name, version=version)
    if models["moody"]["versions"][old] != SETTINGS:
        client.change("settings", lambda step: None, name="moody", version=old, settings=SETTINGS)
    if KINDS[which].loaded:
        for version in (new, old):
            client.change("swap", lambda step: None, name="moody", version=version)
    return old, new


@pytest.mark.parametrize(("which", "step"), MOMENTS)
def test_a_supervisor_killed_at_a_step_finishes_or_undoes_it_wholly(
    served: FaultyServer, which: str, step: str
) -> None:
    server, kind = served, KINDS[which]
    old, new = settled(server, which)
    before = models_of(server)
    aim = copy.deepcopy(before)
    kind.aim(aim, old, new)
    known = len(history(server))
    paths = ["moody", *(f"moody/{version}" for version in before["moody"]["versions"])]
    with contextlib.ExitStack() as loads:
        for path in paths:  # so that there is something to drain
            loads.enter_context(server.load(path, rate=2, connections=0, bodies=SLOW))
        asked = begin(server, which, old, new)
        wait_for_step(server, step, kind.steps)
        left = processes_of(server)
        kill(server)
    asked.join()
    interrupted = pending(server)
    assert_nobody_answers(server)
    server.start()
    assert server.announced["ready"]
    running = interrupted["running"] if interrupted else kind.steps[-1]
    decided = kind.decided is not None and kind.steps.index(running) >= kind.steps.index(kind.decided)
    finished = decided or interrupted is None  # its last step may have been over already
    assert models_of(server) == (aim if finished else before)
    status = assert_all_is_as_the_file_says(server)
    assert set(status["pids"].values()).isdisjoint(left)
    for pid in left:
        assert ends_soon(pid)
    [entry] = history(server)[known:]
    if interrupted is not None:
        assert entry["outcome"] == ("interrupted, finished" if finished else "interrupted, undone")
        assert running in entry["reason"]
    assert (entry["kind"], entry["user"]) == (kind.kind, user_name())
    assert pending(server) is None
    kept = server.deployment_file.with_suffix(".rejected.yaml")
    assert kept.exists() == (which == "apply" and not finished)
    kept.unlink(missing_ok=True)


def kill(server: FaultyServer) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()


def assert_all_is_as_the_file_says(server: FaultyServer) -> dict[str, Any]:
    status = ControlClient(server.deployment_file).status()
    rows = {(row["name"], row["version"]): row for row in status["models"]}
    models = models_of(server)
    assert rows.keys() == {(name, version) for name in models for version in models[name]["versions"]}
    for name, model in models.items():
        assert server.serving(name) == model["default"]
        for version, settings in model["versions"].items():
            assert rows[name, version]["state"] == "READY"
            assert rows[name, version]["workers"]["ready"] == settings["workers"]
    return status


def assert_nobody_answers(server: FaultyServer) -> None:
    front = urlsplit(server.announced["front"])
    server.wait_until(lambda: refuses((front.hostname, front.port)), seconds=120)


def refuses(address: tuple[str | None, int | None]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def kill_at(server: FaultyServer, which: str, step: str) -> str:
    """Kill the supervisor at a step of a change; return what served then."""
    old, new = settled(server, which)
    asked = begin(server, which, old, new)
    wait_for_step(server, step, KINDS[which].steps)
    kill(server)
    asked.join()
    return old


def test_whoever_edits_the_file_of_an_interrupted_change_says_what_is_desired(served: FaultyServer) -> None:
    server = served
    old = kill_at(server, "swap", "load")
    wanted = server.read_deployment()
    wanted["models"]["moody"]["versions"][old]["workers"] = 2
    server.deployment_file.write_text(yaml.safe_dump(wanted))
    edited = server.deployment_file.read_bytes()
    server.start()
    assert server.deployment_file.read_bytes() == edited
    assert_all_is_as_the_file_says(server)
    assert history(server)[-1]["outcome"] == "interrupted, overruled by an edit"
    assert pending(server) is None


def test_a_start_that_is_killed_too_leads_to_the_same(served: FaultyServer) -> None:
    server = served
    old = kill_at(server, "apply", "load")
    known = len(history(server))
    again = subprocess.Popen(
        [STATEHOUSE, "serve"],
        cwd=server.folder,
        env=server.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server.wait_until(lambda: set(models_of(server)) == {"moody"})  # the edit had another
    again.kill()
    again.wait()
    server.start()
    assert server.serving() == old
    assert_all_is_as_the_file_says(server)
    [entry] = history(server)[known:]
    assert (entry["kind"], entry["outcome"]) == ("apply", "interrupted, undone")


@pytest.mark.parametrize("step", SWAP_STEPS)
def test_a_command_killed_at_a_step_changes_nothing_of_the_swap(served: FaultyServer, step: str) -> None:
    server = served
    _, wanted = settled(server, "swap")
    known = len(history(server))
    with server.load(rate=20) as load, server.load(rate=2, connections=0, bodies=SLOW) as slow:
        server.wait_until(lambda: load.answered > 20)
        command = subprocess.Popen(
            [STATEHOUSE, "swap", "moody", wanted],
            cwd=server.folder,
            env=server.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_step(server, step, SWAP_STEPS)
        command.kill()
        command.wait()
        server.wait_until(lambda: len(history(server)) > known)
    assert server.serving() == wanted
    [entry] = history(server)[known:]
    assert (entry["kind"], entry["outcome"], entry["failed"]) == ("swap", "done", 0)
    assert [each["name"] for each in entry["steps"]] == ["load", "verify", "flip", "drain"]
    for counted in (load.result, slow.result):
        assert counted.statuses.keys() == {200}
        assert not counted.errors


@pytest.mark.parametrize(("which", "step"), [("swap", "load"), ("apply", "load"), ("apply", "retire")])
def test_a_server_stopped_while_it_changes_finishes_or_undoes_it(
    served: FaultyServer, which: str, step: str
) -> None:
    server, kind = served, KINDS[which]
    old, new = settled(server, which)
    before = models_of(server)
    aim = copy.deepcopy(before)
    kind.aim(aim, old, new)
    with server.load(f"moody/{old}", rate=2, connections=0, bodies=SLOW):
        asked = begin(server, which, old, new)
        wait_for_step(server, step, kind.steps)
        assert server.stop() == 0
    asked.join()
    server.start()
    finished = history(server)[-1]["outcome"] in ("interrupted, finished", "done")
    assert finished or step == "load"
    assert models_of(server) == (aim if finished else before)
    assert_all_is_as_the_file_says(server)
