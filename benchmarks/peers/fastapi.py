"""FastAPI on uvicorn (uvloop, httptools): orjson, a process per core, a torch thread each; it has no batching."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from benchmarks.load import Target
from benchmarks.peers.peer import PythonPeer, bytes_target, json_target
from benchmarks.processes import bench_python
from benchmarks.workloads import Form, Workload

WORKERS = os.cpu_count() or 1


class FastApi(PythonPeer):
    """apps/fastapi_app.py."""

    name = "fastapi"

    def start(self, workload: Workload, folder: Path) -> None:
        """Serve the application by uvicorn's own command."""
        command = [
            bench_python("fastapi", "uvicorn", "torch"),
            "-m",
            "uvicorn",
            "benchmarks.peers.apps.fastapi_app:app",
        ]
        command += [
            "--port",
            str(self.port),
            "--workers",
            str(WORKERS),
            "--no-access-log",
            "--log-level",
            "warning",
        ]
        command += ["--loop", "uvloop", "--http", "httptools"]
        self.start_process(command, workload, folder, "/health")

    def target(self, form: Form) -> Target | None:
        """Return JSON, or the bytes themselves."""
        url = f"{self.url}/predict"
        return json_target(url, self.workload) if form == "json" else bytes_target(url, self.workload)

    def read(self, form: Form, answer: bytes, headers: dict[str, str]) -> np.ndarray | str:
        """Read ``{"outputs": …}`` or an image's label."""
        document = json.loads(answer)
        return document["label"] if self.workload.kind == "image" else np.array(document["outputs"])
