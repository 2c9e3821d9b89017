"""Settings tried on a server that is made up: what it is told, and what is measured when."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.deployment.journal import TRIAL
from statehouse.scripts.errors import CommandError
from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, OpenLoop
from statehouse.scripts.tuning import bench as bench_module
from statehouse.scripts.tuning.bench import WARM_UP_CONNECTIONS, Bench, default_row, told
from statehouse.scripts.tuning.choice import Goal

ONE, TWO = (VersionSettings(threads=number, batch_size=8) for number in (1, 2))


def plan(arrivals: Any = ClosedLoop(4, 2.0)) -> LoadPlan:  # noqa: B008 - it cannot be changed
    return LoadPlan.for_url("http://h/", (Body(b"x", "text/plain"),), arrivals)


class Server:
    """Runs `net` 1.0 as it is told, and answers loads as `rates` says, one after the other."""

    def __init__(self) -> None:
        self.running = ONE
        self.changes: list[tuple[str, int | None]] = []
        self.loads: list[Any] = []
        self.rates = [100.0] * 50
        self.refuses = False
        self.interrupted = False
        self.bottleneck: str | None = None

    def status(self) -> dict[str, Any]:
        settings = self.running.model_dump(mode="json", exclude_none=True)
        return {"models": [{"name": "net", "version": "1.0", "default": True, "settings": settings}]}

    def change(self, kind: str, on_step: Any, *, name: str, version: str, settings: Any) -> dict[str, Any]:
        if self.refuses:
            raise CommandError("not enough memory")
        self.running = VersionSettings.model_validate(settings) if settings else ONE
        self.changes.append((kind, settings and self.running.threads))
        return {}

    def run(self, plan: LoadPlan) -> Any:
        self.loads.append(plan.arrivals)
        rate = 0.0 if plan.arrivals.duration_seconds != 2.0 else self.rates.pop(0)
        latency = SimpleNamespace(
            p50_seconds=None if not rate else 1 / rate, p99_seconds=None if not rate else 2 / rate
        )
        return SimpleNamespace(
            answers_per_second=rate,
            latency=latency,
            failed=0,
            interrupted=self.interrupted,
            generator=SimpleNamespace(bottleneck=self.bottleneck),
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(bench_module, "run", server.run)
    return server


@pytest.fixture
def make_bench(server: Any):
    def make(*plans: LoadPlan, most_rounds: int = 4) -> Bench:
        return Bench(
            server, "net", "1.0", plans or (plan(),),
            goal=Goal(), most_rounds=most_rounds, on_step=lambda step: None, say=lambda text: None,
        )  # fmt: skip

    return make


def test_settings_are_put_in_place_once_as_a_trial_and_warmed_up(server, make_bench):
    bench = make_bench()
    bench.put(TWO)
    bench.put(TWO)
    assert server.changes == [(TRIAL, 2)]
    assert server.loads == [ClosedLoop(4, 5.0)]
    bench.put(ONE)
    assert server.loads[1:] == [ClosedLoop(4, 0.5)]


def test_the_first_warm_up_is_divided_among_the_loads(server, make_bench):
    make_bench(plan(), plan(OpenLoop(50, 2.0))).put(TWO)
    assert server.loads == [ClosedLoop(4, 2.5), ClosedLoop(WARM_UP_CONNECTIONS, 2.5)]


@pytest.mark.parametrize(
    ("rates", "rounds"),
    [([100.0, 100.0], 2), ([100.0, 200.0, 100.0], 3), ([100.0, 200.0, 400.0, 800.0, 1], 4)],
)
def test_it_is_measured_until_it_is_stable_or_the_rounds_are_used_up(server, make_bench, rates, rounds):
    server.rates = list(rates)
    measured = make_bench().measure(TWO)
    assert [figures.requests_per_second for (figures,) in measured.rounds] == rates[:rounds]


def test_what_cannot_run_is_a_problem_and_no_end(server, make_bench):
    server.refuses = True
    measured = make_bench().measure(TWO)
    assert (measured.problem, measured.rounds) == ("not enough memory", ())


def test_a_load_that_was_not_answered_has_endless_latencies(server, make_bench):
    server.rates = [0.0] * 4
    [figures] = make_bench().measure(TWO).rounds[0]
    assert (figures.p50_seconds, figures.p99_seconds) == (math.inf, math.inf)


def test_two_settings_are_compared_in_turn_each_first_in_every_other_round(server, make_bench):
    server.rates = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    present, chosen = make_bench().compare(ONE, TWO, 3)
    assert [threads for _, threads in server.changes] == [1, 2, 1, 2]
    assert [figures.requests_per_second for (figures,) in present.rounds] == [1.0, 4.0, 5.0]
    assert [figures.requests_per_second for (figures,) in chosen.rounds] == [2.0, 3.0, 6.0]


def test_what_somebody_else_changed_meanwhile_was_not_measured(server, make_bench):
    bench = make_bench()
    bench.put(TWO)
    server.running = ONE
    with pytest.raises(CommandError, match=r"net 1\.0 was changed while it was measured"):
        bench.measure_round()


def test_the_best_is_written_and_the_deployment_s_put_back(server, make_bench):
    bench = make_bench()
    bench.keep(TWO)
    bench.put_back()
    assert server.changes == [("tune", 2), (TRIAL, None)]


def test_the_first_reason_to_doubt_the_generator_stays(server, make_bench):
    bench = make_bench()
    for server.bottleneck in (None, "busy", None):
        bench.put(TWO if server.bottleneck else ONE)
    assert bench.bottleneck == "busy"


def test_ctrl_c_in_a_load_ends_it_all(server, make_bench):
    server.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        make_bench().put(TWO)


def test_the_default_is_meant_unless_a_version_is_named():
    rows = [{"name": "net", "version": version, "default": version == "1.1"} for version in ("1.0", "1.1")]
    status = {"models": rows}
    assert default_row(status, "net") == rows[1]
    assert default_row(status, "net", "1.0") == rows[0]
    with pytest.raises(CommandError, match=r"^net 2\.0 is not served; served is: net\. See"):
        default_row(status, "net", "2.0")
    with pytest.raises(CommandError, match=r"^net is not served; served is: nothing\. See"):
        default_row({"models": []}, "net")


def test_settings_as_people_read_them():
    assert told(ONE) == "batches up to 8, 1 worker × 1 thread"
    assert told(TWO.model_copy(update={"workers": 2, "optimizations": ("freeze",)})) == (
        "batches up to 8, 2 workers × 2 threads, freeze"
    )
