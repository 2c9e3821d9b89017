"""What the benchmark asks of a server, ours or a peer."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.load import Target
from benchmarks.processes import ROOT, ServerProcess, free_port
from benchmarks.workloads import Form, Workload


class Peer(Protocol):
    """One server, for one workload at a time."""

    name: str

    def start(self, workload: Workload, folder: Path) -> None:
        """Serve; PeerUnavailableError when it cannot be done here."""

    def stop(self) -> None:
        """End it and everything it started."""

    def standing_still(self) -> AbstractContextManager[None]:
        """Let it take no processor time within the block, if it would take any while nobody asks it."""

    def target(self, form: Form) -> Target | None:
        """Return the requests of one form, None when it takes no such form."""

    def read(self, form: Form, answer: bytes, headers: dict[str, str]) -> np.ndarray | str:
        """Return what an answer says: the module's outputs of one row, or an image's label."""


class PythonPeer:
    """A server written in Python with one of the usual frameworks: ``apps/`` has its own program."""

    name = ""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: ServerProcess | None = None

    def start_process(
        self, command: list[str], workload: Workload, folder: Path, ready_path: str, python: str | None = None
    ) -> None:
        """Run ``command`` with the workload in its environment and wait for it.

        ``python``: the peers' environment, where the command is none of its own.
        """
        binaries = Path(python or command[0]).parent
        self.workload = workload
        environment = {
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "BENCH_ROOT": str(ROOT),
            "BENCH_CHECKPOINT": str(workload.checkpoint),
            "BENCH_KIND": workload.kind,
            "BENCH_PORT": str(self.port),
            "PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
        }
        self._process = ServerProcess(command, folder, environment)
        self._process.wait_until_ready(f"http://127.0.0.1:{self.port}{ready_path}")

    def stop(self) -> None:
        """End it and everything it started."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def standing_still(self) -> AbstractContextManager[None]:
        """One that polls while nobody asks it would take processor time from the other side."""
        return self._process.standing_still() if self._process is not None else nullcontext()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


def json_target(url: str, workload: Workload, key: str = "inputs", *, batched: bool = False) -> Target | None:
    """Return ``{key: row}`` of each row; None for images."""
    if workload.kind == "image":
        return None
    bodies = tuple(json_body({key: [plain(row)] if batched else plain(row)}) for row in workload.rows)
    return Target(url, bodies, {"Content-Type": "application/json"})


def bytes_target(url: str, workload: Workload) -> Target:
    """Return each row as it is: JPEG bytes, or numbers in little-endian order."""
    if workload.kind == "image":
        return Target(url, tuple(workload.rows), {"Content-Type": "image/jpeg"})
    bodies = tuple(row.tobytes() for row in workload.rows)
    return Target(url, bodies, {"Content-Type": "application/octet-stream"})


def plain(row: np.ndarray) -> list[float]:
    """Return a row's numbers as people write them: 0.1234, not float32's nearest in sixteen digits."""
    return [round(value, 4) for value in row.tolist()]


def json_body(document: object) -> bytes:
    """Return JSON as Python's own library and most clients write it."""
    return json.dumps(document).encode()
