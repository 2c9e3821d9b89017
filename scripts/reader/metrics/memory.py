"""What every process takes, as metrics. To add up shared pages costs milliseconds for each: one look lasts a while."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from statehouse.scripts.machine import memory_of
from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.servers.torchserve import TorchServe
from statehouse.scripts.supervisor.fleet import Fleet

FRESH_SECONDS = 10.0


class MemoryLook:
    """What processes took at the last look; for a thread, not for an event loop."""

    def __init__(self, fleet: Fleet, front: Front, torchserve: TorchServe) -> None:
        self._fleet = fleet
        self._front = front
        self._torchserve = torchserve
        self._looked = float("-inf")
        self._server_bytes: dict[str, int] = {}
        self._worker_bytes: dict[tuple[str, str], int] = {}

    def metrics(self) -> Iterator[Metric]:
        """Yield one gauge for the servers, one for the workers of each version."""
        versions = list(self._fleet.versions)
        if time.monotonic() - self._looked > FRESH_SECONDS or set(versions) != set(self._worker_bytes):
            self._look()
        servers = GaugeMetricFamily(
            "statehouse_memory_bytes", "Memory of a process, shared pages in parts.", labels=["process"]
        )
        for title, size_bytes in self._server_bytes.items():
            servers.add_metric([title], size_bytes)
        workers = GaugeMetricFamily(
            "statehouse_worker_memory_bytes", "Memory of a version's workers.", labels=["model", "version"]
        )
        for key, size_bytes in self._worker_bytes.items():
            workers.add_metric(key, size_bytes)
        yield from (servers, workers)

    def _look(self) -> None:
        pids = {
            "supervisor": os.getpid(),
            "front": self._front.process.pid,
            "torchserve": self._torchserve.process.pid,
            "fork_server": self._torchserve.fork_server.pid,
        }
        self._server_bytes = {title: memory_of([pid]) for title, pid in pids.items()}
        self._worker_bytes = {
            key: memory_of([worker.pid for worker in loaded.workers])
            for key, loaded in list(self._fleet.versions.items())
        }
        self._looked = time.monotonic()
