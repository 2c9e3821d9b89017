"""Podman with storage of its own, for root on Debian: what `make test-deps` installs, and nothing from a registry."""

from __future__ import annotations

import json
import os
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
    """Images, volumes and containers below ``folder``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        configuration = folder / "containers.conf"
        configuration.write_text(CONFIGURATION)
        self._command = ["podman", "--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        self._environment = os.environ | {"CONTAINERS_CONF": str(configuration)}

    def __call__(
        self, *arguments: str, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command; AssertionError with what it said when it fails, unless not to ``check``."""
        done = subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            input=text,
            env=self._environment,
            timeout=LONGEST_SECONDS,
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
