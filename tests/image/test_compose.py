"""deploy/compose.yaml as it is used: the server, and the Prometheus that watches it by our rules.

Grafana's image is in no registry of packages; what the file says of it is held to its schema in tests/deploy.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import yaml
from tests.image.compose import FILE, Compose

pytestmark = pytest.mark.image
READER, PROMETHEUS = "http://127.0.0.1:8090", "http://127.0.0.1:9090"
PUBLISH = """
import torch
from statehouse import TensorTask, build_model, save_checkpoint
config = {"input_size": 4, "hidden_size": 8, "num_classes": 3}
module = build_model("simple_net", config)
save_checkpoint("net.pt", module, architecture="simple_net", config=config, task=TensorTask())
"""
SERVICES = ("statehouse", "prometheus")
MEMORY = {
    "statehouse": 4 << 30,
    "prometheus": 512 << 20,
}  # as the file says, without MEMORY in the environment


@pytest.fixture(scope="module")
def running(compose: Compose) -> Compose:
    compose.up(*SERVICES)
    return compose


def query(compose: Compose, expression: str) -> list[Any]:
    return compose.get_json(f"{PROMETHEUS}/api/v1/query?query={quote(expression)}")["data"]["result"]


def test_a_version_is_published_swapped_to_and_watched(running: Compose) -> None:
    for command in (
        ("python", "-c", PUBLISH),
        ("statehouse", "publish", "net.pt", "--name", "net", "--version", "1.0"),
        ("statehouse", "swap", "net", "1.0"),
        ("statehouse", "predict", "net", '{"inputs": [1, 2, 3, 4]}'),
    ):
        running("exec", "-T", "statehouse", *command)
    assert running.get_json(f"{READER}/ready")["ready"] is True
    running.wait_until(lambda: bool(query(running, 'statehouse_front_requests_total{model="net"}')))
    [up] = query(running, 'up{job="statehouse"}')
    assert up["value"][1] == "1"


def test_prometheus_has_our_rules(running: Compose) -> None:
    ours = yaml.safe_load((FILE.parent / "prometheus" / "statehouse.rules.yml").read_text())["groups"]
    found = running.get_json(f"{PROMETHEUS}/api/v1/rules")["data"]["groups"]
    assert {group["name"]: len(group["rules"]) for group in found} == {
        group["name"]: len(group["rules"]) for group in ours
    }


@pytest.mark.parametrize("service", SERVICES)
def test_each_runs_as_confined_as_the_file_says(running: Compose, service: str) -> None:
    said = running.services[service]
    found = running.podman.inspect(running.container(service))
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["EffectiveCaps"] in ([], None)
    assert found["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    limits = said["deploy"]["resources"]["limits"]
    assert found["HostConfig"]["PidsLimit"] == limits["pids"]
    assert found["HostConfig"]["Memory"] == MEMORY[service]
    assert found["Config"]["User"] not in ("", "0", "root")
    refused = running.podman("exec", running.container(service), "touch", "/usr/x", check=False)
    assert "Read-only file system" in refused.stderr


def test_it_ends_in_order(running: Compose) -> None:
    """The last test of this project."""
    running("stop", "--timeout=90", "statehouse")
    assert running.podman.inspect(running.container("statehouse"))["State"]["ExitCode"] == 0
