"""What a worker measures of itself, in prometheus-client's multiprocess mode: one file per worker and kind.

`PROMETHEUS_MULTIPROC_DIR` must be set before prometheus-client is first imported, so it is imported late.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

from statehouse.handlers.errors import DoorError, RequestError
from statehouse.handlers.request import Response
from statehouse.handlers.worker.prometheus_files import Write, adder, many_observer, setter

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram, Summary
from statehouse.handlers.pipeline.observer import PHASES, Laps, Observer, Phase, StartStep, _Lap

BUCKETS_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class _Instruments(NamedTuple):
    restarts: "Counter"
    queue: "Histogram"
    duration: "Histogram"
    requests: "Counter"
    batches: "Histogram"
    rows: "Counter"
    rows_in_flight: "Gauge"
    start: "Summary"


class WorkerMetrics(Observer):
    """The instruments of one version in one worker. `folder` is the version's, dropped when it is retired.

    All series exist from now on, at zero. Every request counts with the time that its batch took, in each phase as in
    total: it has waited for all of it, and so the phases' sums add up to the total's.
    """

    def __init__(self, folder: Path, *, name: str, version: str) -> None:
        instruments = _instruments(folder)
        self._folder = folder
        labels = {"model": name, "version": version}
        phases = (*PHASES, "total")
        self._durations = {
            phase: many_observer(instruments.duration.labels(**labels, phase=phase)) for phase in phases
        }
        self._answered: dict[tuple[int, str], Write] = {
            (status, problem): adder(
                instruments.requests.labels(**labels, status=str(status), problem=problem)._value
            )
            for status, problem in [(200, ""), *problem_kinds()]
        }
        self._queue = many_observer(instruments.queue.labels(**labels))
        self._batches = many_observer(instruments.batches.labels(**labels))
        self._add_rows = adder(instruments.rows.labels(**labels)._value)
        self._set_rows_in_flight = setter(instruments.rows_in_flight.labels(**labels)._value)
        self._restarts = instruments.restarts.labels(**labels)
        self._starts = {step: instruments.start.labels(**labels, step=step) for step in get_args(StartStep)}
        self._row_count = 0
        self._laps = Laps()
        self._lap_of = {phase: _Lap(self._laps, phase) for phase in PHASES}
        self._began = 0.0

    def started(self, socket_name: str) -> None:
        """This worker was started to listen at `socket_name`: once more, if another did so for this version before."""
        marker = self._folder / f"{Path(socket_name).name}.started"
        if marker.exists():
            self._restarts.inc()
        marker.touch()

    @contextmanager
    def starting(self, step: StartStep) -> Iterator[None]:
        """A step of this worker's start is taken inside."""
        began = time.perf_counter()
        yield
        self._starts[step].observe(time.perf_counter() - began)

    def begin(self, request_count: int) -> None:
        """A batch has arrived; until it is decoded each request counts as one row."""
        self._began = self._laps.begin()
        self.rows(request_count)

    def phase(self, name: Phase) -> AbstractContextManager[object]:
        """What is inside, and what led to it, counts as this phase."""
        return self._lap_of[name]

    def rows(self, count: int) -> None:
        """The batch turned out to have so many rows."""
        if count != self._row_count:
            self._row_count = count
            self._set_rows_in_flight(count)

    def waited(self, seconds: Sequence[float]) -> None:
        """So long the counted requests of a batch had waited since the front had them."""
        for each in seconds:
            self._queue(each, 1)

    def finish(self, responses: Sequence[Response]) -> None:
        """The batch is answered, and these of its responses count."""
        total_seconds = self._laps.end("postprocess") - self._began
        count = len(responses)
        if count:
            for phase, seconds in self._laps.seconds.items():
                self._durations[phase](seconds, count)
            self._durations["total"](total_seconds, count)
            self._batches(count, 1)
            self._add_rows(self._row_count)
            kinds = [(each.status, each.problem) for each in responses]
            for kind in set(kinds):
                self._answered[kind](kinds.count(kind))
        self.rows(0)


def problem_kinds(kind: type[RequestError] = RequestError) -> list[tuple[int, str]]:
    """Status and problem type of every error that a request can be answered with, once it is through the door."""
    kinds = [(kind.status, kind.slug)]
    for narrower in kind.__subclasses__():
        kinds += problem_kinds(narrower) if narrower is not DoorError else []
    return sorted(set(kinds))


def _instruments(folder: Path) -> _Instruments:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    from prometheus_client import Counter, Gauge, Histogram, Summary

    labels = ["model", "version"]
    # In no registry: the files in `folder` are what is read.
    return _Instruments(
        restarts=Counter(
            "statehouse_worker_restarts_total",
            "Workers that ended unasked and were started again.",
            labels,
            registry=None,
        ),
        queue=Histogram(
            "statehouse_queue_seconds",
            "Time from a request's arrival at the front until a worker began with it; HTTP alone.",
            labels,
            buckets=BUCKETS_SECONDS,
            registry=None,
        ),
        duration=Histogram(
            "statehouse_request_duration_seconds",
            "Time that requests spent in the worker, by phase: that of their whole batch.",
            [*labels, "phase"],
            buckets=BUCKETS_SECONDS,
            registry=None,
        ),
        requests=Counter(
            "statehouse_requests_total",
            "Requests answered by the workers, by HTTP status and problem type.",
            [*labels, "status", "problem"],
            registry=None,
        ),
        batches=Histogram(
            "statehouse_batch_requests",
            "Requests that were answered together.",
            labels,
            buckets=BATCH_BUCKETS,
            registry=None,
        ),
        rows=Counter("statehouse_rows_total", "Rows that went through the module.", labels, registry=None),
        rows_in_flight=Gauge(
            "statehouse_rows_in_flight",
            "Rows inside the workers now.",
            labels,
            multiprocess_mode="livesum",
            registry=None,
        ),
        start=Summary(
            "statehouse_worker_start_seconds",
            "What starting a worker took: loading, warming up, verifying by the golden examples.",
            [*labels, "step"],
            registry=None,
        ),
    )
