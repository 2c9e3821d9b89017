"""What every process takes, as metrics. To add up shared pages costs milliseconds for each: one look lasts a while."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from scripts.memory import memory_of
from scripts.supervisor import Supervisor

FRESH_SECONDS = 10.0


class MemoryLook:
    """What processes took at the last look; for a thread, not for an event loop."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._looked = float("-inf")
        self._servers: dict[str, int] = {}
        self._workers: dict[tuple[str, str], int] = {}

    def metrics(self) -> Iterator[Metric]:
        """Yield one gauge for the servers, one for the workers of each version."""
        versions = list(self._supervisor.versions)
        if time.monotonic() - self._looked > FRESH_SECONDS or set(versions) != set(self._workers):
            self._look()
        servers = GaugeMetricFamily(
            "statehouse_memory_bytes", "Memory of a process, shared pages in parts.", labels=["process"]
        )
        for title, size_bytes in self._servers.items():
            servers.add_metric([title], size_bytes)
        workers = GaugeMetricFamily(
            "statehouse_worker_memory_bytes", "Memory of a version's workers.", labels=["model", "version"]
        )
        for key, size_bytes in self._workers.items():
            workers.add_metric(key, size_bytes)
        yield from (servers, workers)

    def _look(self) -> None:
        supervisor = self._supervisor
        pids = {
            "supervisor": os.getpid(),
            "front": supervisor.front.process.pid,
            "torchserve": supervisor.torchserve.process.pid,
            "fork_server": supervisor.torchserve.fork_server.pid,
        }
        self._servers = {title: memory_of([pid]) for title, pid in pids.items()}
        self._workers = {
            key: memory_of([worker.pid for worker in loaded.workers])
            for key, loaded in list(supervisor.versions.items())
        }
        self._looked = time.monotonic()
