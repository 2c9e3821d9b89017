"""What the front has counted, as metrics: it sees what workers cannot."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from scripts.metrics.traffic import CLIENT_OUTCOMES
from scripts.supervisor import Supervisor

LABELS = ["model", "version"]
_TOTALS = {
    "connections": "Connections accepted.",
    "connections_refused": "Connections closed at once: their address had access.connections_per_address open.",
    "received_bytes": "Bytes received from clients.",
    "sent_bytes": "Bytes sent to clients.",
    "retries": "Times that a request was sent to the model server once more.",
    "resent": "Requests that had been sent to a model server that ended, and were sent again when it was back.",
    "connection_errors": "Connections to the model server that failed.",
    "answer_errors": "Answers of the model server that were broken, or did not come in time.",
    "client_aborts": "Requests whose client hung up before its answer.",
}


def front_metrics(supervisor: Supervisor) -> Iterator[Metric]:
    """Yield the front's counts, and its problems by version, status and type."""
    traffic = supervisor.traffic
    for name, help_text in _TOTALS.items():
        yield CounterMetricFamily(f"statehouse_front_{name}", help_text, traffic.front[name])
    responses = CounterMetricFamily(
        "statehouse_front_responses", "Answers to clients, by class of status.", labels=["class"]
    )
    for name in traffic.response_classes:
        responses.add_metric([name], traffic.front[f"hrsp_{name}"])
    yield responses
    yield from _moment(supervisor)
    yield from _by_version(supervisor)
    problems = CounterMetricFamily(
        "statehouse_front_problems",
        "Requests that were not answered well, the workers' own included; without model and version where "
        "none of ours was asked for.",
        labels=[*LABELS, "status", "problem"],
    )
    for problem, count in supervisor.problems.counts(list(supervisor.versions)).items():
        problems.add_metric(problem, count)
    yield problems
    if supervisor.gate.asks_for_keys:
        yield _by_client(supervisor)


def _moment(supervisor: Supervisor) -> Iterator[Metric]:
    now = supervisor.traffic.front_now
    for name, help_text in {
        "connections_open": "Connections of clients that are open.",
        "connections_limit": "So many may be open; more wait until they are accepted.",
        "queued_requests": "Requests that wait in the front for the model server.",
    }.items():
        yield GaugeMetricFamily(f"statehouse_front_{name}", help_text, now.get(name, 0))


def _by_version(supervisor: Supervisor) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "statehouse_front_requests", "Requests that were let through to a version.", labels=LABELS
    )
    in_flight = GaugeMetricFamily(
        "statehouse_front_in_flight", "Requests to a version that have no answer yet.", labels=LABELS
    )
    for key in supervisor.versions:
        requests.add_metric(key, supervisor.traffic.requests(*key))
        in_flight.add_metric(key, supervisor.traffic.in_flight(*key))
    yield requests
    yield in_flight


def _by_client(supervisor: Supervisor) -> Metric:
    requests = CounterMetricFamily(
        "statehouse_front_client_requests",
        "Requests with the key of a client: accepted, or refused by its limits.",
        labels=["client", "outcome"],
    )
    for client in supervisor.gate.keys.clients:
        for outcome in CLIENT_OUTCOMES:
            requests.add_metric([client, outcome], supervisor.traffic.of_client(client, outcome))
    return requests
