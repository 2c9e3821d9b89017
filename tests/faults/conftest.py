"""Servers to hurt, with versions that misbehave: published in this process, because that is quick."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from tests.e2e.server import Server
from tests.faults.load import CountedLoad
from tests.faults.moody_nets import MoodyNet

from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.example import Example
from statehouse.models.tasks.registry import TensorTask
from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

NETS = Path(__file__).with_name("moody_nets.py")
GOLDEN = Example(content_type="application/json", body=b'{"inputs": [1, 2, 3, 4]}')


class FaultyServer(Server):
    """A server of models called "moody", whose versions have moods."""

    def publish(
        self,
        version: str,
        mood: str = "steady",
        *,
        name: str = "moody",
        seed: int | None = None,
        **config: Any,
    ) -> None:
        """Publish a version; those of one ``seed`` have the same weights."""
        torch.manual_seed(hash((name, version, mood)) % 1000 if seed is None else seed)
        settings = {"mood": mood} | config
        file = self.folder / f"{name}-{version}.pt"
        model = MoodyNet(**settings)
        save_checkpoint(
            file, model, architecture="moody_net", config=settings, task=TensorTask(), examples=[GOLDEN]
        )
        publish(file, store=LocalStore(self.store), name=name, version=version)

    def deploy(
        self,
        default: str = "1.0",
        *others: str,
        name: str = "moody",
        batch_size: int = 8,
        **fields: Any,
    ) -> None:
        """Write a deployment of one name."""
        versions = {version: {"batch_size": batch_size} for version in (default, *others)}
        models = {name: {"default": default, "versions": versions}}
        shutil.copy(NETS, self.folder)
        limits = {"request_timeout_seconds": 45} | fields.pop("limits", {})
        self.write_deployment(architectures=[NETS.stem], models=models, limits=limits, **fields)

    def kill_the_silent_after(self, seconds: float) -> None:
        """Have a server that is silent be killed sooner, from the next start on; it is no setting."""
        script = self.folder / "statehouse"
        script.write_text(
            f"#!{sys.executable}\n"
            "from statehouse.__main__ import main\n"
            "from statehouse.scripts.servers import server_process\n"
            f"server_process.LONGEST_SILENCE_SECONDS = {seconds}\n"
            "main()\n"
        )
        script.chmod(0o700)
        self.command = str(script)

    def load(self, path: str = "moody", **how: Any) -> CountedLoad:
        return CountedLoad(f"{self.announced['front']}/predictions/{path}", **how)

    def ask(self, path: str = "moody", *inputs: float, timeout: float = 90) -> httpx.Response:
        padded = [*inputs, 0.0, 0.0, 0.0, 0.0][:4]
        return self.client.post(f"/predictions/{path}", json={"inputs": padded}, timeout=timeout)

    def serving(self, name: str = "moody") -> str:
        answer = self.ask(name)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-model-version"]

    def status(self) -> dict[str, Any]:
        return ControlClient(
            self.deployment_file
        ).status()  # as `statehouse status --json`, without its start

    def history(self) -> list[dict[str, Any]]:
        return self.run_json("history")

    def wait_until(self, what: Callable[[], bool], *, seconds: float = 240) -> float:
        """Wait for something; return how long that took."""
        began = time.monotonic()
        while not what():
            assert time.monotonic() - began < seconds, self.log.read_text()[-3000:]
            time.sleep(0.05)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        try:
            return self.reader.get("/ready").json()["ready"]
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    """A running server for a whole module of tests: moody 1.0 is the default, 1.1 and 1.2 are published."""
    server = FaultyServer(tmp_path_factory.mktemp("served"))
    for version in ("1.0", "1.1", "1.2"):
        server.publish(version)
    server.deploy("1.0")
    server.start()
    yield server
    server.kill_if_running()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[[], FaultyServer]]:
    """Return a function that makes a server of the test's own."""
    servers: list[FaultyServer] = []

    def make() -> FaultyServer:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        servers.append(FaultyServer(folder))
        return servers[-1]

    yield make
    for server in servers:
        server.kill_if_running()
