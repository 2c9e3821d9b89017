"""What a worker measures of itself, in prometheus-client's multiprocess mode: one file per worker and kind.

`PROMETHEUS_MULTIPROC_DIR` must be set before prometheus-client is first imported, so it is imported late.
"""

import os
import time
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple

from handlers.observe_many import Write, adder, many_observer, setter

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

Phase = Literal["decode", "preprocess", "inference", "postprocess"]
PHASES: tuple[Phase, ...] = ("decode", "preprocess", "inference", "postprocess")
BUCKETS_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


class Observer:
    """Watches one batch go through the handler; this one sees and records nothing."""

    def phase(self, name: Phase) -> AbstractContextManager[object]:
        """Time spent inside counts as this phase; entered again, it adds up."""
        return nullcontext()

    def rows(self, count: int) -> None:
        """The batch turned out to have so many rows."""


class Stopwatch:
    """Adds the seconds spent inside to `seconds[name]`."""

    __slots__ = ("_began", "_name", "_seconds")

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._seconds[self._name] += time.perf_counter() - self._began


class _Instruments(NamedTuple):
    duration: "Histogram"
    requests: "Counter"
    rows_in_flight: "Gauge"


class WorkerMetrics(Observer):
    """The instruments of one version in one worker. `folder` is the version's, dropped when it is retired."""

    def __init__(self, folder: Path, *, name: str, version: str) -> None:
        instruments = _instruments(folder)
        self._labels = {"model": name, "version": version}
        self._durations = {
            phase: many_observer(instruments.duration.labels(**self._labels, phase=phase))
            for phase in (*PHASES, "total")
        }
        self._requests = instruments.requests
        self._answered: dict[int, Write] = {}
        self._set_rows_in_flight = setter(instruments.rows_in_flight.labels(**self._labels)._value)
        self._row_count = 0
        self._seconds: dict[str, float] = defaultdict(float)
        self._stopwatches = {phase: Stopwatch(self._seconds, phase) for phase in PHASES}
        self._began = 0.0

    def begin(self, request_count: int) -> None:
        """A batch has arrived; until it is decoded each request counts as one row."""
        self._seconds.clear()
        self._began = time.perf_counter()
        self.rows(request_count)

    def phase(self, name: Phase) -> AbstractContextManager[object]:
        """Time spent inside counts as this phase."""
        return self._stopwatches[name]

    def rows(self, count: int) -> None:
        """The batch turned out to have so many rows."""
        if count != self._row_count:
            self._row_count = count
            self._set_rows_in_flight(count)

    def finish(self, statuses: list[int]) -> None:
        """The batch is answered: phases once per batch, the total once per request."""
        total_seconds = time.perf_counter() - self._began
        for phase, seconds in self._seconds.items():
            self._durations[phase](seconds, 1)
        self._durations["total"](total_seconds, len(statuses))
        for status in set(statuses):
            if status not in self._answered:
                counter = self._requests.labels(**self._labels, status=str(status))
                self._answered[status] = adder(counter._value)
            self._answered[status](statuses.count(status))
        self.rows(0)


def _instruments(folder: Path) -> _Instruments:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    from prometheus_client import Counter, Gauge, Histogram

    labels = ["model", "version"]
    # In no registry: the files in `folder` are what is read.
    return _Instruments(
        duration=Histogram(
            "statehouse_request_duration_seconds",
            "Time in the worker: total per request, the other phases per batch.",
            [*labels, "phase"],
            buckets=BUCKETS_SECONDS,
            registry=None,
        ),
        requests=Counter(
            "statehouse_requests_total",
            "Requests answered by the workers, by HTTP status.",
            [*labels, "status"],
            registry=None,
        ),
        rows_in_flight=Gauge(
            "statehouse_rows_in_flight",
            "Rows inside the workers now.",
            labels,
            multiprocess_mode="livesum",
            registry=None,
        ),
    )
