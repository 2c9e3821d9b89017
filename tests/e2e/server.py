"""A real server for tests: `statehouse serve` as its user starts it, on free ports, in its own folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import yaml

STATEHOUSE = str(Path(sys.executable).parent / "statehouse")
START_SECONDS = 300
STOP_SECONDS = 240
FREE_PORTS = {"front": "127.0.0.1:0", "reader": "127.0.0.1:0", "grpc": "127.0.0.1:0"}


class Server:
    """One deployment in ``folder``: its store, its file, and while it runs its supervisor."""

    def __init__(self, folder: Path) -> None:
        self.command = STATEHOUSE
        self.folder = folder
        self.deployment_file = folder / "deployment.yaml"
        self.store = folder / "model_store"
        self.store.mkdir(exist_ok=True)
        self.log = folder / "serve.log"
        self.process: subprocess.Popen[str] | None = None
        self.announced: dict[str, Any] = {}
        self.client = self.reader = httpx.Client()  # of a server that has not started: asks nobody

    def write_deployment(self, **fields: Any) -> None:
        own = json.loads(json.dumps({"listen": FREE_PORTS} | fields))  # no object twice: no anchors
        self.deployment_file.write_text(yaml.safe_dump(own))

    def read_deployment(self) -> dict[str, Any]:
        return yaml.safe_load(self.deployment_file.read_text())

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `statehouse` with this deployment, in its folder."""
        done = subprocess.run(
            [self.command, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment(),
            timeout=300,
        )
        if check:
            assert done.returncode == 0, f"statehouse {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done

    def run_json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def start(self) -> Server:
        self.close()  # of the one before, which may have been killed
        if not self.deployment_file.exists():
            self.write_deployment()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.command, "serve", "--json"],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.folder, env=self.environment(),
            )  # fmt: skip
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        watchdog.cancel()
        if not line.endswith("}\n"):  # an error takes several lines, or none
            raise AssertionError(f"serve ended: {line}{self.process.stdout.read()}{self.log.read_text()}")
        self.announced = json.loads(line)
        self.client = httpx.Client(base_url=self.announced["front"], timeout=30)
        self.reader = httpx.Client(base_url=self.announced["reader"], timeout=30)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(timeout=STOP_SECONDS)
        self.close()
        return status

    def kill_if_running(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self.close()

    def close(self) -> None:
        """Let go of what a process that ended was talked to with."""
        for client in (self.client, self.reader):
            client.close()
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()

    def status(self) -> dict[str, Any]:
        return self.run_json("status")

    def model(self, name: str, version: str) -> dict[str, Any]:
        return next(m for m in self.status()["models"] if (m["name"], m["version"]) == (name, version))

    def environment(self) -> dict[str, str]:
        # The private folder belongs to the test too: short, because sockets live in it.
        return os.environ | {"STATEHOUSE_DEPLOYMENT": str(self.deployment_file)}
