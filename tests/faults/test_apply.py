"""An edited deployment.yaml, and a server that is made to match it."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from typing import Any

import yaml
from tests.e2e.server import STATEHOUSE
from tests.faults.conftest import FaultyServer
from tests.faults.test_changes import assert_lost_nothing

Edit = Callable[[dict[str, Any]], None]


def edit(server: FaultyServer, change: Edit) -> dict[str, Any]:
    """Edit the file as a person would; return what it says now."""
    wanted = copy.deepcopy(server.read_deployment())
    change(wanted["models"])
    server.deployment_file.write_text(yaml.safe_dump(wanted))
    return wanted


def assert_matches(server: FaultyServer, wanted: dict[str, Any]) -> None:
    rows = {(row["name"], row["version"]): row for row in server.status()["models"]}
    expected = {(name, version) for name, model in wanted["models"].items() for version in model["versions"]}
    assert rows.keys() == expected
    for name, model in wanted["models"].items():
        assert rows[name, model["default"]]["default"]
        for version, settings in model["versions"].items():
            assert rows[name, version]["workers"]["ready"] == settings.get("workers", 1)
    assert server.read_deployment()["models"].keys() == wanted["models"].keys()
    assert server.is_ready()


def test_an_edit_of_everything_is_applied_and_loses_nothing(served: FaultyServer) -> None:
    """Another version and its default, more workers for one, and a name that is new."""
    server = served
    for version in ("1.0", "2.0"):
        server.publish(version, name="grumpy")

    def change(models: dict[str, Any]) -> None:
        models["moody"] |= {"default": "1.1"}
        models["moody"]["versions"] |= {"1.0": {"workers": 2}, "1.1": {}}
        models["grumpy"] = {"default": "2.0", "versions": {"1.0": {}, "2.0": {}}}

    wanted = edit(server, change)
    plan = server.run_json("apply", "--plan")["plan"]
    assert len(plan) == 6
    assert server.serving() == "1.0"  # a plan changes nothing
    with server.load() as load, server.load("moody/1.0", rate=30, connections=1) as explicit:
        server.wait_until(lambda: load.answered > 50)
        done = server.run("apply")
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert_lost_nothing(load, explicit)
    assert all(step in done.stdout for step in plan)
    assert_matches(server, wanted)
    assert server.serving("grumpy") == "2.0"
    [entry] = server.history()
    assert (entry["kind"], entry["outcome"], entry["plan"]) == ("apply", "done", plan)
    assert (entry["requests"] > 0, entry["failed"]) == (True, 0)
    assert server.run_json("apply") == {"plan": [], "done": []}
    assert not server.deployment_file.with_suffix(".rejected.yaml").exists()


def test_what_the_edit_leaves_out_is_retired(served: FaultyServer) -> None:
    def change(models: dict[str, Any]) -> None:
        del models["grumpy"]
        models["moody"]["versions"] |= {"1.0": {}}

    wanted = edit(served, change)
    with served.load() as load:
        served.wait_until(lambda: load.answered > 50)
        served.run("apply")
    assert_lost_nothing(load)
    assert_matches(served, wanted)
    assert served.ask("grumpy").status_code == 404
    assert served.ask("grumpy/2.0").status_code == 410


def test_an_invalid_edit_is_refused_and_stays(served: FaultyServer) -> None:
    before = served.read_deployment()
    edit(served, lambda models: models["moody"].update(default="7.7"))
    edited = served.deployment_file.read_bytes()
    refused = served.run("apply", check=False)
    assert refused.returncode == 1
    assert "7.7" in refused.stderr
    assert served.deployment_file.read_bytes() == edited
    busy = served.run("swap", "moody", "1.0", check=False)
    assert busy.returncode == 1
    assert "was edited and is not applied" in busy.stderr
    assert served.serving() == "1.1"
    served.deployment_file.write_text(yaml.safe_dump(before))
    assert served.run_json("apply")["done"] == []


def files_of(server: FaultyServer) -> dict[str, tuple[int, int]]:
    """Every file of what is desired and was changed, with what tells that it was written."""
    return {
        file.name: (file.stat().st_mtime_ns, file.stat().st_ino)
        for file in server.folder.glob("deployment.*")
        if file.name not in ("deployment.problems.jsonl", "deployment.log")
    }


def test_an_edit_that_changes_nothing_stands_in_no_way_once_it_is_applied(served: FaultyServer) -> None:
    changes = len(served.history())
    served.deployment_file.write_text("# a note\n" + yaml.safe_dump(served.read_deployment()))
    before = files_of(served)
    assert served.run_json("apply") == {"plan": [], "done": []}
    assert files_of(served) == before  # nothing is written: the note stays
    served.run("swap", "moody", "1.1")
    assert served.serving() == "1.1"
    assert len(served.history()) == changes
    assert not served.deployment_file.with_suffix(".rejected.yaml").exists()


def test_an_edit_that_cannot_be_done_is_kept_and_the_file_says_what_is(served: FaultyServer) -> None:
    """One step of it works and stays; the version of the next cannot start."""
    server = served
    server.publish("3.0", "unloadable")

    def change(models: dict[str, Any]) -> None:
        models["moody"]["versions"] |= {"1.2": {}, "3.0": {}}
        models["moody"]["default"] = "3.0"

    wanted = edit(server, change)
    with server.load() as load:
        server.wait_until(lambda: load.answered > 50)
        refused = server.run("apply", check=False)
    assert refused.returncode == 1
    assert "not in the mood" in refused.stderr
    assert load.result.answers.keys() == {(200, "1.1")}
    kept = server.deployment_file.with_suffix(".rejected.yaml")
    assert str(kept) in refused.stderr
    assert yaml.safe_load(kept.read_text()) == wanted
    assert server.read_deployment()["models"]["moody"]["versions"].keys() == {"1.0", "1.1", "1.2"}
    assert_matches(server, server.read_deployment())
    assert server.history()[-1]["outcome"] == "failed"


def test_a_swap_does_not_write_over_an_edit_made_meanwhile(served: FaultyServer) -> None:
    server = served
    server.run("retire", "moody", "1.2")
    with server.load() as load:
        swap = subprocess.Popen(
            [STATEHOUSE, "swap", "moody", "1.2"], cwd=server.folder, stderr=subprocess.PIPE, text=True
        )
        server.wait_until(server.deployment_file.with_suffix(".pending.json").exists)
        wanted = edit(server, lambda models: models["moody"]["versions"].pop("1.0"))
        edited = server.deployment_file.read_bytes()
        _, told = swap.communicate(timeout=240)
    assert swap.returncode == 1
    assert "was edited and is not applied" in told
    assert server.deployment_file.read_bytes() == edited
    assert load.result.answers.keys() == {(200, "1.1")}
    assert server.ask("moody/1.2").status_code in (404, 410)
    server.run("apply")
    assert_matches(server, wanted)


def test_what_only_a_start_can_change_is_said(served: FaultyServer) -> None:
    before = served.read_deployment()
    served.write_deployment(**(before | {"limits": {"request_timeout_seconds": 7}}))
    refused = served.run("apply", check=False)
    assert refused.returncode == 1
    assert "limits" in refused.stderr
    assert "start" in refused.stderr
    served.deployment_file.write_text(yaml.safe_dump(before))
