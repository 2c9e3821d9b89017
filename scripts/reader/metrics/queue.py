"""Who waits, as metrics. How long each request waited, the workers say themselves."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily

from statehouse.scripts.servers.torchserve import queue_limit
from statehouse.scripts.supervisor.loaded_version import Versions
from statehouse.scripts.traffic.counts import Traffic

LABELS = ["model", "version"]


def queue_metrics(versions: Versions, traffic: Traffic) -> Iterator[Metric]:
    """Yield how many wait, how full the queue is, and how long TorchServe took, of which it has a mean alone."""
    waiting = GaugeMetricFamily(
        "statehouse_queue_requests", "Requests that wait for a worker.", labels=LABELS
    )
    fill = GaugeMetricFamily(
        "statehouse_queue_fill_ratio",
        "How full a version's queue is, of 1: beyond it requests are refused.",
        labels=LABELS,
    )
    served = SummaryMetricFamily(
        "statehouse_torchserve_seconds",
        "Time from a request's arrival at TorchServe to its answer; gRPC alone.",
        labels=LABELS,
    )
    limit = queue_limit()
    for key, loaded in versions.items():
        waiting.add_metric(key, loaded.queued_requests)
        of_http = loaded.waiting_requests / loaded.most_waiting if loaded.most_waiting else 0.0
        fill.add_metric(key, max(of_http, loaded.status.queued_requests / limit))
        count = round(traffic.torchserve("requests", *key))
        served.add_metric(key, count, traffic.torchserve("served", *key))
    yield from (waiting, fill, served)
