"""BentoML: adaptive batching up to 32 rows, a worker per core, its access log, metrics and tracing off.

Its arrays are JSON; what it offers for binary is multipart files, which it does not batch: no binary form, no images.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from benchmarks.load import Target
from benchmarks.peers.peer import PythonPeer, json_target
from benchmarks.processes import bench_python
from benchmarks.workloads import Form, Workload

WORKERS = os.cpu_count() or 1


class BentoMl(PythonPeer):
    """apps/bentoml_app.py."""

    name = "bentoml"

    def start(self, workload: Workload, folder: Path) -> None:
        """Serve the service by BentoML's own command."""
        os.environ["BENCH_WORKERS"] = str(WORKERS)
        os.environ["BENTOML_HOME"] = str(folder / "home")
        os.environ["BENTOML_DO_NOT_TRACK"] = "True"
        python = bench_python("bentoml", "torch")
        command = [str(Path(python).parent / "bentoml"), "serve", "benchmarks.peers.apps.bentoml_app:Network"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--quiet"]
        self.start_process(command, workload, folder, "/readyz")

    def target(self, form: Form) -> Target | None:
        """Return JSON: a batch of one row, which is what a batchable method takes."""
        return json_target(f"{self.url}/predict", self.workload, batched=True) if form == "json" else None

    def read(self, form: Form, answer: bytes, headers: dict[str, str]) -> np.ndarray | str:
        """Read the array of one row."""
        return np.array(json.loads(answer)[0])
