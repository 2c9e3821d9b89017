"""deploy/compose.yaml under podman-compose, in a network namespace of its own: there the file's ports are free."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from tests.image.podman import Podman

FILE = Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml"
PODMAN_COMPOSE = Path(sys.executable).with_name("podman-compose")
GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())"
LONGEST_SECONDS = 300


class Compose:
    """The services of the file, as one project."""

    def __init__(self, podman: Podman) -> None:
        self.podman = podman
        self.services: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
        up = "ip link set lo up && echo up && exec sleep infinity"
        self._network = subprocess.Popen(["unshare", "--net", "sh", "-c", up], stdout=subprocess.PIPE)
        assert self._network.stdout is not None
        assert self._network.stdout.readline() == b"up\n"

    def __call__(self, *words: str) -> str:
        """Run one of podman-compose's commands; return what it printed."""
        command = (PODMAN_COMPOSE, f"--podman-path={self.podman.program}", "--in-pod=false", f"--file={FILE}")
        return self._within(*map(str, command), *words).stdout

    def up(self, *services: str) -> None:
        """Start services, and wait until each is healthy by its own check."""
        self("up", "--detach", "--no-build", "--pull=never", *services)
        for name in map(self.container, services):
            healthy = (str(self.podman.program), "healthcheck", "run", name)
            self.wait_until(lambda command=healthy: self._within(*command, check=False).returncode == 0)

    def container(self, service: str) -> str:
        return f"statehouse_{service}_1"

    def get_json(self, url: str) -> Any:
        """Return what a server of the project answers."""
        return json.loads(self._within(sys.executable, "-c", GET, url).stdout)

    def wait_until(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONGEST_SECONDS
        while not what():
            assert time.monotonic() < deadline, self("logs")
            time.sleep(0.5)

    def end(self) -> None:
        """Remove all of it."""
        try:
            self("down", "--volumes", "--timeout=90")
        finally:
            self._network.kill()
            self._network.wait()

    def _within(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's network: what podman calls the host's is its caller's."""
        done = subprocess.run(
            ["nsenter", f"--target={self._network.pid}", "--net", *command],
            capture_output=True, text=True, timeout=LONGEST_SECONDS,
        )  # fmt: skip
        said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert done.returncode == 0 or not check, f"{' '.join(command)}:\n{said}"
        return done
