"""The wheel in a clean environment, in a folder beside a user's own `models`, `scripts` and `handlers`: it serves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.server import Server
from tests.package.conftest import ROOT
from tests.package.environment import CleanEnvironment

INPUT = {"inputs": [1.0, 2.0, 3.0, 4.0]}
DEMO = """
import sys
sys.path.insert(0, "examples")
import demo
demo.prepare(demo.DEMOS[1], demo.Project.of_deployment(demo.Path("deployment.yaml")).store)
"""


class Installed(Server):
    """A server of the clean environment."""

    def __init__(self, folder: Path, clean: CleanEnvironment) -> None:
        super().__init__(folder)
        self.command = clean.statehouse
        self.clean = clean

    def environment(self) -> dict[str, str]:
        return self.clean.variables() | {"STATEHOUSE_DEPLOYMENT": str(self.deployment_file)}

    def checkpoint(self, module: str, architecture: str, seed: int) -> list[float]:
        """Write SEED.pt as the user's own program does; return what its module answers."""
        arguments = ("make_checkpoint.py", module, architecture, str(seed), f"{seed}.pt")
        return json.loads(self.clean.run(*arguments, cwd=self.folder).stdout)

    def ask(self, name: str) -> httpx.Response:
        return self.client.post(f"/predictions/{name}", json=INPUT)


@pytest.fixture
def server(environment: CleanEnvironment, project: Path) -> Iterator[Installed]:
    made = Installed(project, environment)
    yield made
    made.kill_if_running()


def watched(environment: CleanEnvironment) -> list[list[str]]:
    """What the processes wrote down: a process, and what it saw."""
    return [line.split(" ", 1) for line in (environment.folder / "imported.txt").read_text().splitlines()]


def test_the_environment_has_what_is_declared_and_no_more(
    environment: CleanEnvironment, tmp_path: Path
) -> None:
    assert "No broken requirements found." in environment.check()
    code = (
        "import importlib.util as u; print([n for n in ('pytest', 'timm', 'grpc', 's3fs') if u.find_spec(n)])"
    )
    assert environment.run("-c", code, cwd=tmp_path).stdout == "[]\n"
    where = environment.run("-c", "import statehouse; print(statehouse.__file__)", cwd=tmp_path).stdout
    assert where.startswith(str(environment.packages))


def test_it_publishes_serves_swaps_and_stops(server: Installed) -> None:
    server.write_deployment(architectures=["my_nets"])
    expected = {
        version: server.checkpoint("my_nets", "narrow", int(version[-1])) for version in ("1.1", "1.2")
    }
    server.run("publish", "1.pt", "--name", "narrow", "--version", "1.1")
    shutil.copytree(ROOT / "examples", server.folder / "examples")
    server.clean.run("-c", DEMO, cwd=server.folder)
    server.start()
    server.run("swap", "breast_cancer", "1.0")
    patient = server.client.post(
        "/predictions/breast_cancer", content=(server.folder / "checkpoints" / "patient.json").read_bytes()
    )
    assert (patient.status_code, patient.headers["x-model-version"]) == (200, "1.0")
    assert patient.json()["label"] in ("malignant", "benign")

    server.run("publish", "2.pt", "--name", "narrow", "--version", "1.2")
    for version in expected:
        server.run("swap", "narrow", version)
        answer = server.ask("narrow")
        assert (answer.status_code, answer.headers["x-model-version"]) == (200, version), answer.text
        assert answer.json()["outputs"] == pytest.approx(expected[version], abs=1e-5)

    status = server.status()
    variables = Path("/proc", str(status["pids"]["fork_server"]), "environ").read_bytes().split(b"\0")
    assert [each for each in variables if each.startswith(b"PYTHONPATH=")] == [
        f"PYTHONPATH={server.folder}".encode()
    ]
    assert server.process is not None
    assert server.stop() == 0

    seen = watched(server.clean)
    watching = {int(pid) for pid, what in seen if what == "watches itself"}
    # Workers are the latter's forks; they import the kept copy of a module, which has the user's own package beside it.
    assert {server.process.pid, status["pids"]["fork_server"]} <= watching
    asked = {what for _, what in seen if what != "watches itself"}
    assert asked == {"models my_nets.py", "models lent_names.py"}  # the user's, and whether it is there


def test_a_module_that_was_written_for_the_old_name(server: Installed) -> None:
    """Beside a package of the user's own called `models` it is refused with what to write; without one it is served."""
    server.write_deployment(architectures=["old_nets"])
    own, hidden = server.folder / "models", server.folder / "not_models"
    own.rename(hidden)
    expected = server.checkpoint("old_nets", "of_old", 3)
    hidden.rename(own)
    refused = server.run("publish", "3.pt", "--name", "old", "--version", "1.0", check=False)
    assert refused.returncode == 1
    assert "write `from statehouse import register_architecture`" in refused.stderr

    own.rename(hidden)
    server.run("publish", "3.pt", "--name", "old", "--version", "1.0")
    server.start()
    server.run("swap", "old", "1.0")
    assert server.ask("old").json()["outputs"] == pytest.approx(expected, abs=1e-5)
