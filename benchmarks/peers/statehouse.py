"""Statehouse: published and served with default options, asked through the front."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.load import Target
from benchmarks.peers.peer import bytes_target, json_target
from benchmarks.processes import ROOT
from benchmarks.workloads import OWN_ARCHITECTURES, Form, Workload

STATEHOUSE = str(Path(sys.executable).parent / "statehouse")
VERSION = "1.0"
ANY_PORT = "127.0.0.1:0"


class Statehouse:
    """A deployment in a folder of its own; without ``settings`` the version gets those of any new name.

    ``versions``: how many are loaded, with settings, of which one is asked.
    """

    name = "statehouse"

    def __init__(self, versions: int = 1, settings: dict[str, Any] | None = None) -> None:
        self._versions = [f"1.{number}" for number in range(versions)]
        if versions > 1 and settings is None:
            raise ValueError(f"{versions} versions without settings; expected settings, or one version")
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path()
        self.front = ""

    def start(self, workload: Workload, folder: Path) -> None:
        """Publish and serve."""
        self.workload, self.folder = workload, folder
        listen = {"front": ANY_PORT, "reader": ANY_PORT, "grpc": ANY_PORT}
        deployment: dict[str, Any] = {"architectures": [OWN_ARCHITECTURES], "listen": listen}
        if self._settings is not None:
            # Copies: what is the same object twice becomes an anchor in YAML, which a deployment may not have.
            versions = {version: deepcopy(self._settings) for version in self._versions}
            deployment["models"] = {workload.name: {"default": VERSION, "versions": versions}}
        (folder / "model_store").mkdir(exist_ok=True)
        for version in self._versions:
            self._publish(workload, version)
        (folder / "deployment.yaml").write_text(yaml.safe_dump(deployment))
        self._serve()
        if self._settings is None:
            self.run("swap", workload.name, VERSION)

    def stop(self) -> None:
        """End it; it drains."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def standing_still(self) -> AbstractContextManager[None]:
        """It waits without polling."""
        return nullcontext()

    def chosen_settings(self) -> dict[str, Any]:
        """How the version runs, as the deployment has it by now."""
        deployment = yaml.safe_load((self.folder / "deployment.yaml").read_text())
        chosen: dict[str, Any] = deployment["models"][self.workload.name]["versions"][VERSION]
        return chosen

    def target(self, form: Form) -> Target:
        """Return requests of its own form: JSON, raw numbers, or the image itself."""
        url = f"{self.front}/predictions/{self.workload.name}"
        return json_target(url, self.workload) if form == "json" else bytes_target(url, self.workload)

    def read(self, form: Form, answer: bytes, headers: dict[str, str]) -> np.ndarray | str:
        """Read ``{"outputs": …}`` or an image's label."""
        document = json.loads(answer)
        return document["label"] if self.workload.kind == "image" else np.array(document["outputs"])

    def run(self, *arguments: str) -> str:
        """Run one of our commands on this deployment; its failure is the benchmark's."""
        done = subprocess.run(
            [STATEHOUSE, *arguments],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"statehouse {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _publish(self, workload: Workload, version: str) -> None:
        if not (self.folder / "model_store" / f"{workload.name}-{version}").exists():
            named = ("--name", workload.name, "--version", version, "--architectures", OWN_ARCHITECTURES)
            self.run("publish", str(workload.checkpoint), *named)

    def _serve(self) -> None:
        log = self.folder / "server.log"
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [STATEHOUSE, "serve", "--json"],
                cwd=self.folder,
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        text, stream = "", self._process.stdout
        while "front" not in text or "}" not in text:
            line = stream.readline().decode() if stream else ""
            if not line:
                raise SystemExit(f"statehouse serve:\n{text}{log.read_text()[-3000:]}")
            text += line
        self.front = json.JSONDecoder().raw_decode(text)[0]["front"]


def _environment() -> dict[str, str]:
    import os

    # The benchmark's own architecture is found beside this repository's other packages.
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
