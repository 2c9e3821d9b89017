"""LitServe: batches of 32, its fast queue (ZeroMQ), a worker and an API process per core; images as base64 in JSON.

As in its documentation a request is JSON; so there is no binary form of numbers. ``batch_timeout`` 0 waits for nobody.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import numpy as np

from benchmarks.load import Target
from benchmarks.peers.peer import PythonPeer, json_body, json_target
from benchmarks.processes import bench_python
from benchmarks.workloads import Form, Workload

WORKERS = os.cpu_count() or 1


class LitServe(PythonPeer):
    """apps/litserve_app.py."""

    name = "litserve"

    def start(self, workload: Workload, folder: Path) -> None:
        """Run the program."""
        command = [bench_python("litserve", "torch"), "-m", "benchmarks.peers.apps.litserve_app"]
        command += [str(self.port), str(WORKERS)]
        self.start_process(command, workload, folder, "/health")

    def target(self, form: Form) -> Target | None:
        """Return JSON; of images, too."""
        url = f"{self.url}/predict"
        if self.workload.kind == "image":
            bodies = tuple(json_body({"image": base64.b64encode(row).decode()}) for row in self.workload.rows)
            return Target(url, bodies, {"Content-Type": "application/json"})
        return json_target(url, self.workload) if form == "json" else None

    def read(self, form: Form, answer: bytes, headers: dict[str, str]) -> np.ndarray | str:
        """Read ``{"outputs": …}`` or an image's label."""
        document = json.loads(answer)
        return document["label"] if self.workload.kind == "image" else np.array(document["outputs"])
