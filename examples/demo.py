"""What `make serve` runs: two demo models, trained and published once, then served.

    python examples/demo.py

Trains into `checkpoints/`, publishes into `model_store/`, and leaves a request of each model:
`checkpoints/digit.png` and `checkpoints/patient.json`. The second time only serving is left to do.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from statehouse.models.errors import StatehouseError
from statehouse.scripts.deployment.project import Project
from statehouse.scripts.errors import VersionNotFoundError
from statehouse.scripts.store import ModelStore, PublishedVersion

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).parent / "statehouse"
VERSION = "1.0"


@dataclass(frozen=True)
class Demo:
    """One demo model; paths are seen from the project's folder."""

    name: str
    script: str
    checkpoint: str
    request: str


DEMOS = (
    Demo("digits", "examples/train_digits.py", "checkpoints/digits.pt", "checkpoints/digit.png"),
    Demo(
        "breast_cancer",
        "examples/train_breast_cancer.py",
        "checkpoints/breast_cancer.safetensors",
        "checkpoints/patient.json",
    ),
)


def prepare(demo: Demo, store: ModelStore) -> None:
    """Train, publish and write its request, each only if it is not there."""
    version = find(demo, store) or publish(demo, store)
    if not Path(demo.request).exists():
        write_request(version, Path(demo.request))


def find(demo: Demo, store: ModelStore) -> PublishedVersion | None:
    """Return the demo's version, if it is published."""
    try:
        return store.obtain(demo.name, VERSION)
    except VersionNotFoundError:
        return None


def publish(demo: Demo, store: ModelStore) -> PublishedVersion:
    """Publish the demo's checkpoint, trained first if it is absent."""
    if not Path(demo.checkpoint).exists():
        run("python", sys.executable, demo.script, "--output", demo.checkpoint, "--resume")
    run("statehouse", str(COMMAND), "publish", demo.checkpoint, "--name", demo.name, "--version", VERSION)
    return store.obtain(demo.name, VERSION)


def write_request(version: PublishedVersion, path: Path) -> None:
    """Write the body of the version's first golden example, a request that is known to work."""
    golden = json.loads(version.golden_path.read_bytes())
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(base64.b64decode(golden["examples"][0]["body_base64"]))


def run(shown_as: str, command: str, *arguments: str) -> None:
    """Run a command, showing it as one would type it; end with its exit code if it fails."""
    print(f"$ {shown_as} {shlex.join(arguments)}", flush=True)
    exit_code = subprocess.run([command, *arguments], check=False).returncode
    if exit_code != 0:
        sys.exit(exit_code)


def main() -> None:
    """Prepare both models, then become `statehouse serve`."""
    os.chdir(ROOT)
    try:
        store = Project.of_deployment(Path("deployment.yaml")).store
        for demo in DEMOS:
            prepare(demo, store)
    except StatehouseError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    print("$ statehouse serve", flush=True)
    os.execv(COMMAND, ["statehouse", "serve"])  # noqa: S606 - our own command, no shell needed


if __name__ == "__main__":
    main()
