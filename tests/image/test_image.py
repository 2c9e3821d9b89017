"""The image as it is used: confined, watched, changed from inside, stopped under load. `make image-test`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml
from tests.e2e.server import FREE_PORTS
from tests.faults.conftest import NETS
from tests.image.container import DATA, MEMORY_BYTES, Container
from tests.image.podman import Podman

from statehouse import DISTRIBUTION

pytestmark = pytest.mark.image
MOST_BYTES = 1_500_000_000  # uncompressed, with the CPU torch
USER = "10001:10001"
# Publishes a version of the test's network inside, as its user: the image has all that takes.
PUBLISH = """
import sys
sys.path.insert(0, ".")
import torch
from moody_nets import MoodyNet
from statehouse import TensorTask, save_checkpoint
torch.manual_seed({seed})
save_checkpoint("{version}.pt", MoodyNet(), architecture="moody_net", config={{}}, task=TensorTask())
"""
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
INSTALLED = """
import json, re
from importlib.metadata import distributions
print(json.dumps({re.sub("[-_.]+", "-", d.name).lower(): d.version for d in distributions()}))
"""
ZOMBIES = """
from pathlib import Path
states = [path.read_text().rpartition(")")[2].split()[0] for path in Path("/proc").glob("[0-9]*/stat")]
print(states.count("Z"))
"""


def publish(container: Container, version: str, seed: int) -> None:
    container.python(PUBLISH.format(version=version, seed=seed))
    container.run(
        "statehouse", "publish", f"{version}.pt", "--name", "moody", "--version", version,
        "--architectures", NETS.stem,
    )  # fmt: skip


@pytest.fixture(scope="module")
def served(make_container: Callable[..., Container]) -> Container:
    """On the host's network, as deploy/compose.yaml has it; on free ports; moody 1.0 serves."""
    container = make_container("served", network="host")
    container.write(NETS.name, NETS.read_text())
    container.write("deployment.yaml", yaml.safe_dump({"listen": FREE_PORTS, "architectures": [NETS.stem]}))
    container.start()
    publish(container, "1.0", 1)
    container.run("statehouse", "swap", "moody", "1.0")
    return container


def front(container: Container) -> httpx.Client:
    return httpx.Client(base_url=container.run_json("statehouse", "status")["front"], timeout=60)


def test_the_image_is_small_and_says_how_it_runs(podman: Podman, image: str) -> None:
    found = podman.inspect(image)
    assert found["Size"] <= MOST_BYTES
    config = found["Config"]
    assert config["User"] == USER
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == [DATA]
    assert found["Healthcheck"]["Test"] == ["CMD", "statehouse", "status", "--live"]
    assert config["Labels"]["org.opencontainers.image.title"] == "Statehouse"


def test_nothing_of_this_checkout_but_what_runs_is_in_it(podman: Podman, image: str) -> None:
    found = podman.out("run", "--rm", "--entrypoint=ls", "--network=none", image, "-A", "/opt/statehouse")
    assert set(found.split()) == {".venv", "architectures", "run"}
    found = podman.out("run", "--rm", "--entrypoint=ls", "--network=none", image, "-A", "/opt")
    assert "source" not in found.split()


def test_what_is_installed_is_what_is_locked(podman: Podman, image: str) -> None:
    found = json.loads(
        podman.out("run", "--rm", "--entrypoint=python", "--network=none", image, "-c", INSTALLED)
    )
    locked = dict(
        line.partition(" ")[0].split("==")
        for line in LOCK.read_text().splitlines()
        if not line.startswith("#")
    )
    assert {name: version.partition("+")[0] for name, version in found.items() if name != DISTRIBUTION} == {
        name: locked[name] for name in found if name != DISTRIBUTION
    }


def test_it_runs_without_rights(served: Container) -> None:
    status = dict(
        line.split(":\t") for line in served.run("cat", "/proc/1/status").splitlines() if ":\t" in line
    )
    assert status["Uid"].split()[0] == "10001"
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    for path in ("/opt/statehouse/x", "/etc/x", "/tmp/x", "/usr/x"):
        assert "Read-only file system" in served.run("touch", path, check=False)


def test_it_knows_its_memory_limit(served: Container) -> None:
    code = "from statehouse.scripts.machine import available_bytes; print(available_bytes())"
    assert 0 < int(served.python(code)) < MEMORY_BYTES


def test_this_machine_reaches_it_and_only_by_loopback(served: Container) -> None:
    status = served.run_json("statehouse", "status")
    assert status["ready"] is True
    for which in ("front", "reader", "grpc"):
        assert "127.0.0.1:" in status[which]
    with front(served) as client:
        answer = client.post("/predictions/moody", json={"inputs": [1, 2, 3, 4]})
    assert (answer.status_code, answer.headers["x-model-version"]) == (200, "1.0")


def test_a_swap_from_inside(served: Container) -> None:
    """CI does it so, over SSH: docker exec statehouse statehouse swap NAME VERSION."""
    publish(served, "1.1", 2)
    with front(served) as client:
        before = client.post("/predictions/moody", json={"inputs": [1, 2, 3, 4]}).json()
        served.run("statehouse", "swap", "moody", "1.1")
        after = client.post("/predictions/moody", json={"inputs": [1, 2, 3, 4]})
    assert after.headers["x-model-version"] == "1.1"
    assert after.json() != before
    assert served.is_healthy()


def test_the_dead_are_buried(served: Container) -> None:
    """Workers of a killed Java are orphans, and become the first process's children."""
    killed = served.run_json("statehouse", "status")["pids"]["torchserve"]
    served.python(f"import os; os.kill({killed}, 9)")
    served.wait_until(
        lambda: (
            served.is_healthy() and served.run_json("statehouse", "status")["pids"]["torchserve"] != killed
        )
    )
    served.wait_until(lambda: served.python(ZOMBIES) == "0")


def test_sigterm_drains(served: Container) -> None:
    """The last test of this container: a request in flight is answered, and the container ends with 0."""
    answers: list[httpx.Response] = []
    reader = served.run_json("statehouse", "status")["reader"]
    with front(served) as client:
        asking = threading.Thread(
            target=lambda: answers.append(client.post("/predictions/moody", json={"inputs": [20, 0, 0, 0]}))
        )  # ten seconds in the worker
        asking.start()
        served.wait_until(lambda: rows_in_flight(reader) > 0)
        served.podman("kill", "--signal=TERM", served.name)
        asking.join()
    assert served.exit_code() == 0
    [answer] = answers
    assert answer.status_code == 200, answer.text
    assert "what is in flight is answered first" in served.logs()
    assert "Traceback" not in served.logs()


def rows_in_flight(reader: str) -> float:
    lines = httpx.get(f"{reader}/metrics", timeout=60).text.splitlines()
    found = [line for line in lines if line.startswith("statehouse_rows_in_flight{")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_it_starts_from_nothing_without_a_network(make_container: Callable[..., Container]) -> None:
    """An empty volume: the server makes its deployment, is healthy, and serves what is published inside."""
    container = make_container("empty", network="none")
    container.start()
    container.python(
        "import torch; from statehouse import TensorTask, build_model, save_checkpoint; "
        'config = {"input_size": 4, "hidden_size": 8, "num_classes": 3}; '
        'save_checkpoint("net.pt", build_model("simple_net", config), architecture="simple_net", config=config, '
        "task=TensorTask())"
    )
    container.run("statehouse", "publish", "net.pt", "--name", "net", "--version", "1.0")
    container.run("statehouse", "swap", "net", "1.0")
    answer = container.run("statehouse", "predict", "net", json.dumps({"inputs": [1, 2, 3, 4]}))
    assert "outputs" in answer
    container.podman("stop", "--time=90", container.name)
    assert container.exit_code() == 0
