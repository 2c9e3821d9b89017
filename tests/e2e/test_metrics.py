"""What `/metrics` counts on a real server: exactly what happened, in series that no client can add to."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.prometheus import DEPLOY, Prometheus
from tests.e2e.server import Server

from statehouse.models.architecture import build_model
from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.tasks.registry import TensorTask
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

CONFIG = {"input_size": 4, "hidden_size": 5, "num_classes": 3}
GOOD, BAD = b'{"inputs": [1, 2, 3, 4]}', b'{"inputs": [1, 2]}'
WORKERS = 2

Series = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("metrics"))
    file = server.folder / "net.pt"
    save_checkpoint(
        file, build_model("simple_net", CONFIG), architecture="simple_net", config=CONFIG, task=TensorTask()
    )
    for version in ("1.0", "1.1"):
        publish(file, store=LocalStore(server.store), name="net", version=version)
    settings = {"workers": WORKERS, "batch_size": 8}
    server.write_deployment(models={"net": {"default": "1.0", "versions": {"1.0": settings}}})
    server.start()
    yield server
    server.kill_if_running()


def read(server: Server) -> dict[Series, float]:
    answer = server.reader.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def total(samples: dict[Series, float], name: str, **labels: str) -> float:
    return sum(
        value
        for (each, found), value in samples.items()
        if each == name and labels.items() <= dict(found).items()
    )


def grown(server: Server, before: dict[Series, float]) -> Callable[..., float]:
    """How much a count has grown since ``before``."""
    after = read(server)
    return lambda name, **labels: total(after, name, **labels) - total(before, name, **labels)


def grown_to(
    server: Server, before: dict[Series, float], *, responses: int, problems: int
) -> Callable[..., float]:
    """The same, once the front has told of all: it does so after it has answered."""

    def told() -> bool:
        more = grown(server, before)
        enough = more("statehouse_front_problems_total") >= problems
        return enough and more("statehouse_front_responses_total") >= responses

    wait_for(told)
    return grown(server, before)


def ask(server: Server, body: bytes = GOOD, path: str = "/predictions/net", **headers: str) -> httpx.Response:
    return server.client.post(path, content=body, headers=headers)


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


MOVING = ("_bytes", "_seconds", "_ready", "_up", "_default", "_desired", "_info", "_parameters", "_limit")


def test_everything_exists_at_zero_before_the_first_request(server: Server) -> None:
    samples = read(server)
    counts = {
        series: value
        for series, value in samples.items()
        if not series[0].endswith(MOVING) and not series[0].startswith("statehouse_worker_start")
    }
    assert {series: value for series, value in counts.items() if value} == {}
    version = {"model": "net", "version": "1.0"}
    for phase in ("decode", "preprocess", "inference", "postprocess", "total"):
        name = "statehouse_request_duration_seconds_count"
        assert (name, frozenset((version | {"phase": phase}).items())) in counts
    bounds = {
        dict(labels)["le"] for name, labels in counts if name == "statehouse_request_duration_seconds_bucket"
    }
    assert {"0.0001", "60.0", "+Inf"} <= bounds
    for name in ("rows_total", "batch_requests_count", "queue_seconds_count", "front_requests_total"):
        assert (f"statehouse_{name}", frozenset(version.items())) in counts
    for step in ("load", "warm_up", "verify"):
        assert total(samples, "statehouse_worker_start_seconds_count", step=step) == WORKERS
    assert total(samples, "statehouse_version_load_seconds") > 0
    for process in ("supervisor", "front", "torchserve", "fork_server"):
        assert total(samples, "statehouse_memory_bytes", process=process) > 2**20
    assert total(samples, "statehouse_worker_memory_bytes") > 2**20
    [info] = [dict(labels) for name, labels in samples if name == "statehouse_model_info"]
    manifest = LocalStore(server.store).get("net", "1.0").manifest
    assert info == version | {
        "digest": manifest.digest,
        "architecture": "simple_net",
        "task": "tensor",
        "device": "cpu",
        "parameters": str(manifest.parameter_count),
        "state": "ready",
    }


def test_after_so_many_requests_the_counts_are_so_many(server: Server) -> None:
    before = read(server)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: ask(server, BAD if number % 10 == 0 else GOOD), range(200)))
    assert Counter(answer.status_code for answer in answers) == {200: 180, 422: 20}
    more = grown_to(server, before, responses=200, problems=20)
    assert more("statehouse_requests_total", problem="", status="200") == 180
    assert more("statehouse_requests_total", problem="wrong-shape", status="422") == 20
    assert more("statehouse_requests_total") == 200
    for phase in ("decode", "postprocess", "total"):
        assert more("statehouse_request_duration_seconds_count", phase=phase) == 200
    assert more("statehouse_batch_requests_sum") == 200
    assert more("statehouse_rows_total") == 180
    assert more("statehouse_front_requests_total") == more("statehouse_queue_seconds_count") == 200
    assert more("statehouse_front_responses_total", **{"class": "2xx"}) == 180
    assert more("statehouse_front_responses_total", **{"class": "4xx"}) == 20
    assert more("statehouse_front_problems_total", model="net", version="1.0", problem="wrong-shape") == 20
    assert more("statehouse_front_problems_total") == 20
    assert more("statehouse_queue_seconds_sum") > 0
    assert read(server)["statehouse_rows_in_flight", frozenset({("model", "net"), ("version", "1.0")})] == 0


def test_the_phases_add_up_to_the_total(server: Server) -> None:
    samples = read(server)
    sums = {
        dict(labels)["phase"]: value
        for (name, labels), value in samples.items()
        if name == "statehouse_request_duration_seconds_sum"
    }
    assert sum(seconds for phase, seconds in sums.items() if phase != "total") == pytest.approx(
        sums["total"], rel=0.05
    )


STRANGE = (
    "..%2f..",
    "a" * 300,
    "net%00",
    "net{le=1}",
    "%ff%fe",
    "net\\",
    'n"et',
    "näme",
    "net;x",
    "Net",
    "net-1.0",
)


def test_no_client_can_add_a_series(server: Server) -> None:
    def strange(number: int) -> None:
        name = f"{STRANGE[number % len(STRANGE)]}{number}"
        method = ("POST", "GET", "DELETE", "BREW", "PROPFIND", "X" * 30)[number % 6]
        path = (
            "/predictions/{}",
            "/predictions/net/{}",
            "/v2/models/{}/infer",
            "/v1/models/{}:predict",
            "/{}",
        )
        headers = {
            "x-request-id": name.encode("utf-8", "ignore").hex(),
            "traceparent": f"00-{number:032x}-{1:016x}-00",
        }
        headers |= {f"x-model-version-{number}": "9", "content-type": f"text/{number}"}
        url = path[number % 5].format(name)
        assert server.client.request(method, url, content=b"{", headers=headers).status_code >= 400

    before = read(server)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(strange, range(240)))
    for number in range(60):
        ask(
            server,
            GOOD,
            "/predictions/net",
            **{"content-type": f"strange/{number}", "x-statehouse-problem": "mine"},
        )
    grown_to(server, before, responses=300, problems=240)
    assert read(server).keys() == before.keys()


def test_a_problem_is_one_line_with_the_ids_of_the_answer(server: Server) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    log = server.folder / "deployment.problems.jsonl"
    # A second takes a hundred lines, and the test before this one asked for more.
    wait_for(lambda: ask(server, path="/predictions/nosuch").headers["x-request-id"] in log.read_text())
    refused = ask(server, BAD, **{"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    named = ask(server, BAD, **{"x-request-id": "order-17"})
    unknown = ask(server, path="/predictions/nosuch")
    assert refused.json()["request_id"] == refused.headers["x-request-id"] == trace
    assert named.json()["request_id"] == named.headers["x-request-id"] == "order-17"
    assert unknown.json()["request_id"] == unknown.headers["x-request-id"]
    ids = [answer.headers["x-request-id"] for answer in (refused, named, unknown)]
    wait_for(lambda: ids[-1] in log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [line for line in lines if line.get("request_id") in ids]
    assert [(line["request_id"], line["status"], line["problem"], line["model"]) for line in told] == [
        (ids[0], 422, "wrong-shape", "net"),
        (ids[1], 422, "wrong-shape", "net"),
        (ids[2], 404, "no-such-model", "nosuch"),
    ]
    assert told[0]["trace_id"] == trace
    assert {line["event"] for line in lines} == {"problem"}


def worker_pids(server: Server) -> list[int]:
    return [pid for pid in server.model("net", "1.0")["workers"]["pids"] if pid]


def is_ready(server: Server) -> bool:
    return server.reader.get("/ready").status_code == 200


def test_counts_are_exact_also_when_workers_are_killed_in_between(server: Server) -> None:
    before = read(server)
    for _ in range(50):
        assert ask(server).status_code == 200
    killed = worker_pids(server)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_ready(server) and not set(killed) & set(worker_pids(server)))
    for _ in range(50):
        assert ask(server).status_code == 200
    more = grown(server, before)
    assert more("statehouse_front_requests_total") == 100
    assert more("statehouse_requests_total", status="200") == 100
    assert more("statehouse_request_duration_seconds_count", phase="total") == 100
    assert more("statehouse_worker_restarts_total") == len(killed) == WORKERS


def test_the_front_counts_every_request_when_a_worker_is_killed_under_load(server: Server) -> None:
    """A worker counts before it answers: what it has counted and nobody got, the front has as a problem."""
    before = read(server)
    victim = worker_pids(server)[0]

    def client(number: int) -> list[int]:
        statuses = [ask(server).status_code for _ in range(60)]
        if number == 0:
            os.kill(victim, signal.SIGKILL)
        return statuses + [ask(server).status_code for _ in range(60)]

    with ThreadPoolExecutor(6) as pool:
        statuses = Counter(chain(*pool.map(client, range(6))))
    assert statuses.total() == 720
    failed = 720 - statuses[200]
    more = grown_to(server, before, responses=720, problems=failed)
    assert more("statehouse_front_requests_total") == 720
    assert more("statehouse_front_responses_total") == 720
    assert more("statehouse_front_problems_total") == failed
    assert statuses[200] <= more("statehouse_requests_total") <= 720
    wait_for(lambda: is_ready(server))


def panels() -> list[dict[str, Any]]:
    return json.loads((DEPLOY / "grafana" / "statehouse.json").read_text())["panels"]


def filled(expression: str) -> str:
    """As Grafana fills it in: all models and versions."""
    for variable, value in (("$model", ".*"), ("$version", ".*"), ("$__rate_interval", "2m")):
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def test_every_query_of_the_dashboard_and_every_rule_works_on_a_real_prometheus(
    server: Server, tmp_path: Path
) -> None:
    queries = {
        f"{panel['title']}, {target['refId']}": filled(target["expr"])
        for panel in panels()
        for target in panel.get("targets", [])
    }
    assert len(queries) > 25
    with Prometheus(tmp_path, server.announced["reader"]) as prometheus:

        def without_an_answer() -> list[str]:
            for body in (GOOD, BAD):
                ask(server, body)
            return [title for title, query in queries.items() if not has_numbers(prometheus.query(query))]

        prometheus.wait_for(lambda: not without_an_answer())
        dashboard = json.loads((DEPLOY / "grafana" / "statehouse.json").read_text())
        for annotation in dashboard["annotations"]["list"]:
            prometheus.query(annotation["expr"])
        for name in ("model", "version"):
            assert prometheus.query(f"group by ({name}) (statehouse_model_info)")
        rules = prometheus.rules()
        prometheus.wait_for(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"})
        assert len(rules) > 15
        scraped = prometheus.query('statehouse_requests_total{status="200"}')
        assert float(scraped[0]["value"][1]) <= total(read(server), "statehouse_requests_total", status="200")


def has_numbers(result: list[dict[str, Any]]) -> bool:
    return any(each["value"][1] != "NaN" for each in result)


def test_a_retired_version_s_series_go_and_changes_are_counted(server: Server) -> None:
    before = read(server)
    server.run("swap", "net", "1.1")
    assert server.run("swap", "net", "9.9", check=False).returncode == 1
    ask(server, path="/predictions/net/1.0")
    server.run("retire", "net", "1.0")
    assert ask(server, path="/predictions/net/1.0").status_code == 410
    more = grown(server, before)
    assert more("statehouse_changes_total", kind="swap", outcome="done") == 1
    assert more("statehouse_changes_total", kind="swap", outcome="failed") == 0  # a typo is none
    assert more("statehouse_changes_total", kind="retire", outcome="done") == 1
    samples = read(server)
    assert {dict(labels).get("version") for _, labels in samples if "model" in dict(labels)} <= {
        "1.1",
        "",
        None,
    }
    assert not [labels for name, labels in samples if ("version", "1.0") in labels]
    assert total(samples, "statehouse_default", version="1.1") == 1


def test_golden_requests_are_in_no_count_and_a_version_that_comes_back_begins_at_zero(server: Server) -> None:
    server.run("swap", "net", "1.0")
    samples = read(server)
    for name in ("requests_total", "front_requests_total", "rows_total", "front_problems_total"):
        assert total(samples, f"statehouse_{name}", model="net", version="1.0") == 0, name
    ask(server)
    assert total(read(server), "statehouse_front_requests_total", version="1.0") == 1
