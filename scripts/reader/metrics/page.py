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

from statehouse.scripts.reader.metrics.front import client_metrics, front_metrics
from statehouse.scripts.reader.metrics.memory import MemoryLook
from statehouse.scripts.reader.metrics.queue import queue_metrics
from statehouse.scripts.reader.metrics.versions import change_metrics, server_metrics, version_metrics
from statehouse.scripts.supervisor.parts import ServerParts


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

    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts
        self._memory = MemoryLook(parts.fleet, parts.front, parts.torchserve)

    async def render(self) -> bytes:
        """Return everything that is measured, in Prometheus' text format."""
        parts = self._parts
        missing, _ = await asyncio.gather(
            parts.what_is_missing(), parts.traffic.look(parts.front, parts.torchserve)
        )
        versions = parts.fleet.versions
        of_versions = [
            *server_metrics(parts.front, parts.torchserve, ready=not missing),
            *version_metrics(versions, parts.front.default_of),
            *change_metrics(versions, parts.change_counts),
            *front_metrics(versions, parts.traffic, parts.problems),
            *client_metrics(parts.gate, parts.traffic),
            *queue_metrics(versions, parts.traffic),
        ]
        # Files and processes, milliseconds for each: not in the event loop.
        return await asyncio.to_thread(
            lambda: text_of([*parts.metrics.collect(), *of_versions, *self._memory.metrics()])
        )
