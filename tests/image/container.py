"""A container of the image, confined as deploy/compose.yaml confines it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from tests.image.podman import Podman

IMAGE = "statehouse"
DATA = "/var/lib/statehouse"
MEMORY_BYTES = 3 << 30
PATIENCE_SECONDS = 300
COMPOSE = Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml"


def confined() -> tuple[str, ...]:
    """What deploy/compose.yaml says of the server, as podman's options."""
    service = yaml.safe_load(COMPOSE.read_text())["services"]["statehouse"]
    return (
        f"--read-only={str(service['read_only']).lower()}",
        "--read-only-tmpfs=false",
        *(f"--cap-drop={each}" for each in service["cap_drop"]),
        *(f"--security-opt={each.removesuffix(':true')}" for each in service["security_opt"]),
        *(f"--tmpfs={each}" for each in service["tmpfs"]),
        f"--pids-limit={service['deploy']['resources']['limits']['pids']}",
        f"--memory={MEMORY_BYTES}",
        "--log-driver=k8s-file",
    )


class Container:
    """One container and its volume, of the same name."""

    def __init__(self, podman: Podman, name: str, *, network: str) -> None:
        self.podman = podman
        self.name = name
        self._how = (*confined(), f"--network={network}", f"--volume={name}:{DATA}")

    def write(self, file: str, content: str) -> None:
        """Put a file into the volume, as its user."""
        self.podman(
            "run", "--rm", "--interactive", "--entrypoint=sh", *self._how, IMAGE, "-c", f"cat > {file}",
            text=content,
        )  # fmt: skip

    def start(self) -> None:
        self.podman("run", "--detach", f"--name={self.name}", *self._how, IMAGE)
        self.wait_until(self.is_healthy)

    def is_healthy(self) -> bool:
        assert self.podman.inspect(self.name)["State"]["Running"], self.logs()
        return self.podman("healthcheck", "run", self.name, check=False).returncode == 0

    def wait_until(self, what: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not what():
            assert time.monotonic() - began < PATIENCE_SECONDS, self.logs()
            time.sleep(0.5)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside; return what it printed, errors too."""
        done = self.podman("exec", self.name, *command, check=check)
        return done.stdout + done.stderr

    def run_json(self, *command: str) -> Any:
        return json.loads(self.podman("exec", self.name, *command, "--json").stdout)

    def python(self, code: str) -> str:
        return self.run("python", "-c", code).strip()

    def logs(self) -> str:
        done = self.podman("logs", self.name)
        return done.stdout + done.stderr

    def exit_code(self) -> int:
        return int(self.podman.out("wait", self.name))

    def remove(self) -> None:
        self.podman("rm", "--force", "--time=0", self.name, check=False)
        self.podman("volume", "rm", "--force", self.name, check=False)
