"""TorchServe's queues, as metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily

from scripts.supervisor import Supervisor
from scripts.torchserve import queue_limit

LABELS = ["model", "version"]


def queue_metrics(supervisor: Supervisor) -> Iterator[Metric]:
    """Yield how many wait, how full the fullest queue is, and how long they waited, which has a mean alone."""
    waiting = GaugeMetricFamily(
        "statehouse_queue_requests", "Requests that wait for a worker.", labels=LABELS
    )
    fill = GaugeMetricFamily(
        "statehouse_queue_fill_ratio", "How full the fullest of a version's queues is, of 1.", labels=LABELS
    )
    queued = SummaryMetricFamily(
        "statehouse_queue_seconds", "Time that requests waited for a worker.", labels=LABELS
    )
    served = SummaryMetricFamily(
        "statehouse_torchserve_seconds",
        "Time from a request's arrival at TorchServe to its answer.",
        labels=LABELS,
    )
    limit = queue_limit()
    for key, loaded in supervisor.versions.items():
        waiting.add_metric(key, loaded.queued_requests)
        fullest = max((status.queued_requests for status in loaded.statuses.values()), default=0)
        fill.add_metric(key, fullest / limit)
        count = round(supervisor.traffic.torchserve("requests", *key))
        queued.add_metric(key, count, supervisor.traffic.torchserve("queued", *key))
        served.add_metric(key, count, supervisor.traffic.torchserve("served", *key))
    yield from (waiting, fill, queued, served)
