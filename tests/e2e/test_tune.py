"""`statehouse tune` on a real server: what it shows, leaves and writes, and what others notice: nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.e2e.server import STATEHOUSE, Server
from tests.faults.conftest import FaultyServer
from tests.faults.load import body_of

# Each batch takes 20 ms, whatever is in it, and no processor: that batches of eight are better does not depend on how
# busy the machine is.
SLOW = 10.02
FEW = (
    "--connections",
    "8",
    "--batch-sizes",
    "1,8",
    "--duration",
    "0.5s",
    "--rounds",
    "1",
    "--input",
    "slow.json",
)
WAIT_SECONDS = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    server = FaultyServer(tmp_path_factory.mktemp("tune"))
    server.publish("1.0", name="net")
    server.deploy(name="net", batch_size=1)
    (server.folder / "slow.json").write_bytes(body_of(SLOW).content)
    server.start()
    yield server
    server.kill_if_running()


def settings(server: Server) -> dict[str, Any]:
    return server.model("net", "1.0")["settings"]


def history(server: Server) -> list[dict[str, Any]]:
    return server.run_json("history")


def test_a_dry_run_shows_what_it_found_and_leaves_everything_as_it_was(server: Server) -> None:
    file, before = server.deployment_file.read_bytes(), settings(server)
    done = server.run("tune", "net", *FEW, "--dry-run", "--plot", "found.svg")
    lines = done.stdout.splitlines()
    assert lines[0] == "net 1.0, 8 connections, 0.5 s a round"
    assert lines[1].split() == ["BATCH", "WORKERS", "REQUESTS/S", "P50", "P99", "WITHIN"]
    assert lines[2].split()[:4] == ["1", "1", "×", "1"]
    assert lines[2].endswith("(present)")
    assert sum(line.endswith("← best") for line in lines) == 1
    assert "Nothing was written (--dry-run)." in done.stdout
    assert "batches up to 8, 1 worker × 1 thread" in done.stderr
    assert ElementTree.parse(server.folder / "found.svg").getroot().tag.endswith("svg")
    assert server.deployment_file.read_bytes() == file
    assert settings(server) == before
    assert {entry["kind"] for entry in history(server)} == {"trial"}
    assert "trials of `statehouse tune` are not shown" in server.run("history").stdout


def test_ctrl_c_puts_the_settings_back(server: Server) -> None:
    file, before = server.deployment_file.read_bytes(), settings(server)
    tune = subprocess.Popen(
        [STATEHOUSE, "tune", "net", *FEW, "--duration", "10s"], cwd=server.folder, env=server.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + WAIT_SECONDS
    while settings(server) == before:
        assert tune.poll() is None
        assert time.monotonic() < deadline
    tune.send_signal(signal.SIGINT)
    _, told = tune.communicate(timeout=WAIT_SECONDS)
    assert tune.returncode == 130
    assert told.endswith("the settings are those that were there before\n")
    assert server.deployment_file.read_bytes() == file
    assert settings(server) == before
    assert server.status()["ready"] is True


def test_an_edited_deployment_is_not_tuned_over(server: Server) -> None:
    file, changes = server.deployment_file.read_text(), len(history(server))
    server.deployment_file.write_text(file.replace("batch_size: 1", "batch_size: 2"))
    refused = server.run("tune", "net", *FEW, check=False)
    server.deployment_file.write_text(file)
    assert refused.returncode == 1
    assert "statehouse apply" in refused.stderr
    assert len(history(server)) == changes


def test_what_is_not_served_cannot_be_tuned(server: Server) -> None:
    refused = server.run("tune", "nothing", *FEW, check=False)
    assert refused.returncode == 1
    assert "served is: net" in refused.stderr


def test_a_gain_that_a_second_run_confirms_is_written_and_no_other_client_loses_a_request(
    server: Server,
) -> None:
    others = subprocess.Popen(
        [STATEHOUSE, "load-test", "net", "--connections", "1", "--duration", "10m", "--json", "--input", "slow.json"],
        cwd=server.folder, env=server.environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found = json.loads(server.run("tune", "net", *FEW, "--json").stdout)
    others.send_signal(signal.SIGINT)
    noticed = json.loads(others.communicate(timeout=WAIT_SECONDS)[0])
    assert noticed["answered"] > 0
    assert noticed["failed"] == 0
    assert found["second_run"]["confirmed"] is True
    assert found["second_run"]["gain"] > 1.05
    assert found["written"] is True
    assert found["chosen"] in [candidate["settings"] for candidate in found["candidates"]]
    assert server.read_deployment()["models"]["net"]["versions"]["1.0"] == found["chosen"] == settings(server)
    [written] = [entry for entry in history(server) if entry["kind"] == "tune"]
    assert (written["outcome"], written["to"]["settings"]) == ("done", found["chosen"])
    assert "tune net" in server.run("history").stdout


def test_settings_that_were_chosen_outlive_the_server(server: Server) -> None:
    chosen = settings(server)
    assert server.stop() == 0
    server.start()
    assert settings(server) == chosen
    assert server.client.post("/predictions/net", json={"inputs": [0.5] * 4}).status_code == 200
