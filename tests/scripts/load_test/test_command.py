"""`statehouse load-test` against a real server of two versions."""

import csv
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.server import STATEHOUSE, Server
from tests.scripts.conftest import save_small_net
from typer.testing import CliRunner

from statehouse.models.errors import StatehouseError
from statehouse.scripts.cli import app
from statehouse.scripts.control.client import ControlClient


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Version 1.0 of `net` is the default, 1.1 is loaded beside it; each test leaves it so."""
    server = Server(tmp_path_factory.mktemp("server"))
    for version, seed in (("1.0", 0), ("1.1", 1)):
        server.run(
            "publish",
            str(save_small_net(server.folder / f"{seed}.pt", seed=seed)),
            "--name",
            "net",
            "--version",
            version,
        )
    server.write_deployment(models={"net": {"default": "1.0", "versions": {"1.0": {}, "1.1": {}}}})
    server.start()
    yield server
    server.kill_if_running()


def versions_of(result: dict[str, Any]) -> dict[str, int]:
    return {version["version"]: version["answers"] for version in result["versions"]}


def test_a_load_on_a_real_server(server: Server) -> None:
    result = server.run_json(
        "load-test", "net", "--rate", "100", "--duration", "500ms", "--fail-if", "errors > 0"
    )
    assert (result["planned"], result["statuses"], versions_of(result)) == (50, {"200": 50}, {"1.0": 50})
    assert result["failures"] == []

    closed = server.run_json("load-test", "net/1.1", "--connections", "2", "--duration", "300ms")
    assert set(versions_of(closed)) == {"1.1"}
    assert closed["planned"] == closed["answered"] > 0

    grpc = server.run_json("load-test", "net", "--rate", "20", "--duration", "500ms", "--grpc")
    assert (grpc["planned"], grpc["statuses"]) == (10, {"200": 10})
    assert grpc["load"]["url"] == f"grpc://{server.status()['grpc']}/net"

    bad = server.folder / "bad.json"
    bad.write_text('{"nothing": 1}')
    options = ("--rate", "50", "--duration", "200ms", "--input", str(bad))
    assert "✗ 0 of 10 answered well, 10 not" in server.run("load-test", "net", *options).stdout
    failed = server.run("load-test", "net", *options, "--fail-if", "errors > 0", "--json", check=False)
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["failures"] == ["errors > 0: there are 10"]
    assert failed.stderr == "failed: errors > 0: there are 10\n"
    over_grpc = server.run_json("load-test", "net", *options, "--grpc")
    assert over_grpc["failed"] == over_grpc["planned"] == sum(over_grpc["statuses"].values()) == 10

    refused = server.run("load-test", "net/3.0", "--rate", "1", check=False)
    assert refused.returncode == 1
    assert "net/3.0 is not served; served is: net/1.0, net/1.1" in refused.stderr

    assert_interrupted_load_tells_what_it_found(server)


def test_what_goes_into_files_is_what_is_told(server: Server) -> None:
    csv, html = server.folder / "load.csv", server.folder / "load.html"
    options = (
        "--rate",
        "60",
        "--poisson",
        "--duration",
        "1s",
        "--processes",
        "2",
        "--csv",
        str(csv),
        "--html",
        str(html),
    )
    done = server.run("load-test", "net", *options, "--json")
    result = json.loads(done.stdout)
    assert done.stderr.splitlines() == [f"written: {html}", f"written: {csv}"]
    assert result["planned"] == 60
    assert result["generator"]["processes"] == 2
    assert len(csv.read_text().splitlines()) == 61
    assert "Load test of net" in html.read_text()
    again = server.run_json("load-test", "net", "--schedule", str(csv))
    assert (again["planned"], again["load"]["arrivals"]) == (60, "recorded")


def test_a_swap_during_a_load_is_told_by_version_before_during_and_after(server: Server) -> None:
    html = server.folder / "swap.html"
    options = ("--rate", "100", "--duration", "2s", "--html", str(html), "--fail-if", "errors > 0")
    result = server.run_json("load-test", "net", *options, "--during", "swap net 1.1")
    during = result["during"]
    assert (during["exit_code"], result["failed"], set(versions_of(result))) == (0, 0, {"1.0", "1.1"})
    assert 1 <= during["began_seconds"] < during["ended_seconds"] <= result["elapsed_seconds"] - 1 + 0.1
    phases = {(phase["name"], phase["version"]): phase for phase in during["phases"]}
    assert {name for name, version in phases if version == "1.1"} >= {"after"}
    assert phases["before", "1.0"]["requests"] == phases["before", "all"]["requests"] >= 100
    assert phases["after", "1.1"]["requests"] == phases["after", "all"]["requests"] >= 100
    assert (
        sum(phase["requests"] for (_, version), phase in phases.items() if version == "all")
        == result["planned"]
    )
    assert "Before, during and after" in html.read_text()

    failing = server.run(
        "load-test", "net", "--rate", "20", "--duration", "1s", "--during", "swap net 9.9", check=False
    )
    assert failing.returncode == 1
    assert "swap net 9.9 ended with 1" in failing.stderr
    assert "9.9" in failing.stdout
    server.run("swap", "net", "1.0")


def test_a_capacity_is_found_and_versions_are_compared(server: Server) -> None:
    options = ("--find-capacity", "--p99-ms", "100", "--rate", "32", "--duration", "300ms", "--json")
    done = server.run("load-test", "net", *options, check=False)
    found = json.loads(done.stdout)
    capacity = found["capacity_per_second"]  # None on a machine that is too busy to answer anything in time
    assert done.returncode == (0 if capacity else 1)
    held = [each for each in found["rounds"] if each["holds"] and each["rate_per_second"] == capacity]
    assert len(held) >= 3 or capacity is None
    assert any(not each["holds"] for each in found["rounds"])

    options = (
        "--rate",
        "40",
        "--compare",
        "1.1",
        "--rounds",
        "3",
        "--duration",
        "2s",
        "--fail-if",
        "errors > 0",
    )
    compared = server.run_json("load-test", "net", *options)
    assert (compared["base"], compared["other"], compared["failed"]) == (
        "1.0",
        "1.1",
        {"base": 0, "other": 0},
    )
    assert {ratio["figure"] for ratio in compared["ratios"]} == {"p50", "p90", "p99", "rate"}
    assert all(set(versions_of(each)) == {"1.1"} for each in compared["rounds"]["other"])
    slower = server.run("load-test", "net", *options, "--fail-if", "rate > 0.0001x", check=False)
    assert slower.returncode == 1
    assert "failed: rate > 0.0001x" in slower.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rate", "1", "--during", "serve"), "is no command to run during a load"),
        (("--rate", "1", "--during", "swap 'net"), "cannot be read"),
        (("--rate", "1", "--compare", "1.0"), "the version it would be compared with"),
        (("--rate", "1", "--compare", "1.1", "--duration", "1s"), "0.2 s at least"),
        (("--rate", "1", "--fail-if", "p99 > 2x"), "goes with --compare"),
        (("--find-capacity", "--p99-ms", "5", "--fail-if", "p99 > 5ms"), "whose result is a rate"),
        (("--rate", "1", "--fail-if", "p98 > 1ms"), "'p98' is no figure"),
        ((), "none was given"),
    ],
)
def test_what_does_not_go_together_is_refused_before_a_request_is_sent(
    server: Server, options: tuple[str, ...], words: str
) -> None:
    deployment = ("--deployment", str(server.deployment_file))
    before = answered_by(server)
    refused = CliRunner().invoke(app, ["load-test", "net", *options, *deployment])
    assert isinstance(refused.exception, StatehouseError)
    assert words in str(refused.exception)
    assert refused.stdout == ""
    assert answered_by(server) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--find-capacity",), "--p99-ms"),
        (("--rate", "1", "--p99-ms", "5"), "--fail-if 'p99 > 50ms'"),
        (("--find-capacity", "--p99-ms", "0"), "more than 0"),
        (("--find-capacity", "--p99-ms", "5", "--compare", "1.1"), "do not go together"),
        (("--find-capacity", "--p99-ms", "5", "--connections", "5"), "does not go with --find-capacity"),
        (("--rate", "1", "--html", "/nowhere/at/all.html"), "a folder that exists"),
    ],
)
def test_wrong_usage_is_told_before_a_server_is_asked(options: tuple[str, ...], words: str) -> None:
    refused = CliRunner().invoke(app, ["load-test", "net", *options, "--deployment", "none.yaml"])
    assert refused.exit_code == 2
    assert words in " ".join(refused.stderr.split())


def test_the_locust_file_sends_the_same_inputs(server: Server) -> None:
    locust = Path(STATEHOUSE).with_name("locust")
    locustfile = Path(__file__).parents[3] / "examples" / "locustfile.py"
    stats = server.folder / "locust"
    run = [
        locust,
        "-f",
        locustfile,
        "--headless",
        "-u",
        "2",
        "-r",
        "2",
        "-t",
        "3s",
        "--csv",
        stats,
        "--skip-log",
    ]
    environment = server.environment() | {"STATEHOUSE_NAME": "net"}
    done = subprocess.run(
        run, cwd=server.folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    with (server.folder / "locust_stats.csv").open() as file:
        rows = list(csv.DictReader(file))
    [total] = [row for row in rows if row["Name"] == "Aggregated"]
    assert int(total["Request Count"]) > 0
    assert int(total["Failure Count"]) == 0


def assert_interrupted_load_tells_what_it_found(server: Server) -> None:
    before = answered_by(server)
    load = subprocess.Popen(
        [STATEHOUSE, "load-test", "net", "--rate", "50", "--duration", "10m", "--json"],
        stdout=subprocess.PIPE,
        cwd=server.folder,
        env=server.environment(),
    )
    deadline = time.monotonic() + 240
    while answered_by(server) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    load.send_signal(signal.SIGINT)
    found = json.loads(load.communicate(timeout=240)[0])
    assert load.returncode == 130
    assert found["interrupted"]
    assert 0 < found["answered"] == found["planned"] < 30_000


def answered_by(server: Server) -> int:
    rows = ControlClient(server.deployment_file).status()["models"]
    return sum(row["latency"]["requests"] for row in rows if row["latency"])
