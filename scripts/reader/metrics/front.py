"""What the front has counted, as metrics: it sees what workers cannot."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from statehouse.scripts.access.gate import Gate
from statehouse.scripts.supervisor.loaded_version import Versions
from statehouse.scripts.traffic.counts import CLIENT_OUTCOMES, Traffic
from statehouse.scripts.traffic.problem_log import Problems

LABELS = ["model", "version"]
_TOTALS = {
    "connections": "Connections accepted.",
    "connections_refused": "Connections closed immediately: their address had access.connections_per_address open.",
    "received_bytes": "Bytes received from clients.",
    "sent_bytes": "Bytes sent to clients.",
    "retries": "Times that a request was sent to another worker, as the connection to one failed.",
    "connection_errors": "Connections to workers that failed.",
    "answer_errors": "Answers of workers that were broken, or did not come in time.",
    "client_aborts": "Requests whose client hung up before its answer.",
}


def front_metrics(versions: Versions, traffic: Traffic, problem_log: Problems) -> Iterator[Metric]:
    """Yield the front's counts, and its problems by version, status and type."""
    for name, help_text in _TOTALS.items():
        yield CounterMetricFamily(f"statehouse_front_{name}", help_text, traffic.front[name])
    responses = CounterMetricFamily(
        "statehouse_front_responses", "Answers to clients, by class of status.", labels=["class"]
    )
    for name in traffic.response_classes:
        responses.add_metric([name], traffic.front[f"hrsp_{name}"])
    yield responses
    yield from _moment(traffic)
    yield from _by_version(versions, traffic)
    problems = CounterMetricFamily(
        "statehouse_front_problems",
        "Requests that were not answered well, the workers' own included; without model and version where "
        "none of ours was asked for.",
        labels=[*LABELS, "status", "problem"],
    )
    for problem, count in problem_log.counts(list(versions)).items():
        problems.add_metric(problem, count)
    yield problems


def _moment(traffic: Traffic) -> Iterator[Metric]:
    now = traffic.front_now
    for name, help_text in {
        "connections_open": "Connections of clients that are open.",
        "connections_limit": "So many may be open; more wait until they are accepted.",
        "queued_requests": "Requests that wait in the front for a worker.",
    }.items():
        yield GaugeMetricFamily(f"statehouse_front_{name}", help_text, now.get(name, 0))


def _by_version(versions: Versions, traffic: Traffic) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "statehouse_front_requests", "Requests that were let through to a version.", labels=LABELS
    )
    in_flight = GaugeMetricFamily(
        "statehouse_front_in_flight", "Requests to a version that have no answer yet.", labels=LABELS
    )
    for key in versions:
        requests.add_metric(key, traffic.requests(*key))
        in_flight.add_metric(key, traffic.in_flight(*key))
    yield requests
    yield in_flight


def client_metrics(gate: Gate, traffic: Traffic) -> Iterator[Metric]:
    """Yield the requests of each client that has a key; nothing where none are asked for."""
    if not gate.asks_for_keys:
        return
    requests = CounterMetricFamily(
        "statehouse_front_client_requests",
        "Requests with the key of a client: accepted, or refused by its limits.",
        labels=["client", "outcome"],
    )
    for client in gate.keys.clients:
        for outcome in CLIENT_OUTCOMES:
            requests.add_metric([client, outcome], traffic.of_client(client, outcome))
    yield requests
