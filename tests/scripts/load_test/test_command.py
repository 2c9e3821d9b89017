"""`statehouse load-test` against a real server of two versions."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import STATEHOUSE, Server
from tests.scripts.conftest import SaveNet


@pytest.fixture
def server(tmp_path: Path, save_net: SaveNet) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(folder)
    for version, seed in (("1.0", 0), ("1.1", 1)):
        server.run("publish", str(save_net(f"{seed}.pt", seed=seed)), "--name", "net", "--version", version)
    server.write_deployment(models={"net": {"default": "1.0", "versions": {"1.0": {}, "1.1": {}}}})
    server.start()
    yield server
    server.kill_if_running()


def versions_of(result: dict[str, Any]) -> dict[str, int]:
    return {version["version"]: version["answers"] for version in result["versions"]}


def test_a_load_on_a_real_server(server: Server) -> None:
    result = server.run_json("load-test", "net", "--rate", "100", "--duration", "500ms", "--fail-if-errors")
    assert (result["planned"], result["statuses"], versions_of(result)) == (50, {"200": 50}, {"1.0": 50})

    closed = server.run_json("load-test", "net/1.1", "--connections", "2", "--duration", "300ms")
    assert set(versions_of(closed)) == {"1.1"}
    assert closed["planned"] == closed["answered"] > 0

    bad = server.folder / "bad.json"
    bad.write_text('{"nothing": 1}')
    options = ("--rate", "50", "--duration", "200ms", "--body", str(bad))
    assert "✗ 0 of 10 answered well, 10 not" in server.run("load-test", "net", *options).stdout
    assert server.run("load-test", "net", *options, "--fail-if-errors", check=False).returncode == 1

    refused = server.run("load-test", "net/3.0", "--rate", "1", check=False)
    assert refused.returncode == 1
    assert "net/3.0 is not served; served is: net/1.0, net/1.1" in refused.stderr

    assert_interrupted_load_tells_what_it_found(server)


def assert_interrupted_load_tells_what_it_found(server: Server) -> None:
    load = subprocess.Popen(
        [STATEHOUSE, "load-test", "net", "--rate", "50", "--duration", "10m", "--json"],
        stdout=subprocess.PIPE,
        cwd=server.folder,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        load.wait(timeout=4)
    load.send_signal(signal.SIGINT)
    found = json.loads(load.communicate(timeout=30)[0])
    assert found["interrupted"]
    assert found["answered"] > 0
    assert found["planned"] == 30_000 == found["answered"] + found["unsent"]
