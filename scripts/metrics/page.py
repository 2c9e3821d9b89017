"""The supervisor's `/metrics`: the workers' own, what the front and TorchServe have counted, and what serves now.

Labels name versions that are loaded now, and nothing that a client chose; so there are as many series as versions,
each from zero when its version is loaded until it is retired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from scripts.metrics.front import front_metrics
from scripts.metrics.memory import MemoryLook
from scripts.metrics.queue import queue_metrics
from scripts.metrics.versions import change_metrics, server_metrics, version_metrics
from scripts.supervisor import Supervisor


class _Gathered(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def text_of(metrics: Iterable[Metric]) -> bytes:
    """Return metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Gathered(metrics))
    return generate_latest(registry)


class MetricsPage:
    """The page of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._memory = MemoryLook(supervisor)

    async def render(self) -> bytes:
        """Return everything that is measured, in Prometheus' text format."""
        supervisor = self._supervisor
        missing = await supervisor.what_is_missing()
        await supervisor.look_at_traffic()
        of_versions = [
            *server_metrics(supervisor, ready=not missing),
            *version_metrics(supervisor),
            *change_metrics(supervisor),
            *front_metrics(supervisor),
            *queue_metrics(supervisor),
        ]
        # Files and processes, milliseconds for each: not in the event loop.
        return await asyncio.to_thread(
            lambda: text_of([*supervisor.metrics.collect(), *of_versions, *self._memory.metrics()])
        )
