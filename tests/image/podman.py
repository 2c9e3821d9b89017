"""Podman with storage of its own, for root on Debian: what `make test-deps` installs, and no image from a registry."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

CONFIGURATION = """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"

[containers]
default_ulimits = []
"""
LONGEST_SECONDS = 1500


class Podman:
    """Images, volumes and containers below ``folder``; ``program`` is a podman that knows them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        configuration = folder / "containers.conf"
        configuration.write_text(CONFIGURATION)
        self.program = folder / "podman"
        self.program.write_text(
            f"#!/bin/sh\nexport CONTAINERS_CONF='{configuration}'\n"
            f"exec podman --root '{folder}/storage' --runroot '{folder}/run' \"$@\"\n"
        )
        self.program.chmod(0o755)

    def __call__(
        self, *arguments: str, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command; AssertionError with what it said when it fails, unless not to ``check``."""
        done = subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, input=text, timeout=LONGEST_SECONDS
        )
        if check:
            said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            assert done.returncode == 0, f"podman {' '.join(arguments)}:\n{said}"
        return done

    def out(self, *arguments: str) -> str:
        return self(*arguments).stdout.strip()

    def inspect(self, what: str) -> dict[str, Any]:
        [found] = json.loads(self.out("inspect", what))
        return found

    def has_image(self, name: str) -> bool:
        return self("image", "exists", name, check=False).returncode == 0
