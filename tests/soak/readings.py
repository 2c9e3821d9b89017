"""What a running server takes, read every few seconds: by process, in its private folder, on its metrics page."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from tests.e2e.server import Server
from tests.soak.java import collected_heap_bytes

from statehouse.scripts.servers.private_folder import RuntimeFolder

MIB = 1 << 20
COLLECT_SECONDS = 10  # twice in a cycle
Series = list[tuple[float, float]]


class Readings(threading.Thread):
    """Reads from ``with`` to its end; ``series`` has (seconds, value) by (quantity, process)."""

    def __init__(self, server: Server, *, every_seconds: float) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._folder = RuntimeFolder.of_deployment(server.deployment_file)
        self._every_seconds = every_seconds
        self._over = threading.Event()
        self._began = time.monotonic()
        self._collected = -math.inf
        self.series: defaultdict[tuple[str, str], Series] = defaultdict(list)

    def run(self) -> None:
        with httpx.Client(base_url=self._server.announced["reader"], timeout=60) as reader:
            while not self._over.wait(self._every_seconds):
                with contextlib.suppress(OSError):  # a process that has ended while it was read
                    self._read(reader)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()

    def _read(self, reader: httpx.Client) -> None:
        now = time.monotonic() - self._began
        found = {**self._of_processes(reader), **self._of_files(), **_of_metrics(reader)}
        for key, value in found.items():
            self.series[key].append((now, value))

    def _of_processes(self, reader: httpx.Client) -> dict[tuple[str, str], float]:
        status = reader.get("/status").json()
        assert self._server.process is not None
        pids = {"supervisor": self._server.process.pid, **status["pids"]}
        found: dict[tuple[str, str], float] = {}
        for title, pid in pids.items():
            found["memory", title] = _own_bytes(pid) / MIB
            found["file descriptors", title] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            found["threads", title] = len(list(Path(f"/proc/{pid}/task").iterdir()))
        if time.monotonic() - self._collected > COLLECT_SECONDS:
            # What is not used any more stays in a heap until that is full, which would look like a leak.
            found["memory", "Java's heap, collected"] = collected_heap_bytes(pids["torchserve"]) / MIB
            self._collected = time.monotonic()
        workers = [pid for row in status["models"] for pid in row["workers"]["pids"] if pid]
        found["memory", "workers"] = sum(map(_own_bytes, workers)) / MIB
        found["processes", "all"] = sum(1 for _ in self._processes())
        return found

    def _processes(self) -> Iterator[Path]:
        """Everything that the server's own private folder was told to: nobody else's."""
        told = f"TMPDIR={self._folder.java_temp}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if told in (process / "environ").read_bytes().split(b"\0"):
                    yield process

    def _of_files(self) -> dict[tuple[str, str], float]:
        sizes = []
        for folder, _, names in os.walk(self._folder.path):
            for name in names:
                with contextlib.suppress(OSError):
                    sizes.append(Path(folder, name).lstat().st_blocks * 512)
        return {("temp files", "all"): len(sizes), ("temp files' size", "all"): sum(sizes) / MIB}


def _own_bytes(pid: int) -> int:
    """What a process holds beside files: does not change when others begin or end to share it, as forks do."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def _of_metrics(reader: httpx.Client) -> dict[tuple[str, str], float]:
    lines = reader.get("/metrics").text.splitlines()
    return {("metric series", "all"): sum(1 for line in lines if line and not line.startswith("#"))}
