import re

from statehouse.handlers.pipeline.observer import Observer
from statehouse.handlers.pipeline.server_timing import PhaseTimes

BODY = b'{"inputs": [1, 2, 3, 4]}'
BAD = b'{"inputs": [1]}'
PHASES = ("decode", "preprocess", "inference", "postprocess")


def told(response):
    """Milliseconds by phase, and the rows, of a response's Server-Timing."""
    header = response.headers["Server-Timing"]
    milliseconds = {name: float(value) for name, value in re.findall(r"(\w+);dur=([\d.]+)", header)}
    return milliseconds, int(re.search(r'rows;desc="(\d+)"', header)[1])


def test_who_asks_is_told_and_nobody_else(worker):
    asking = worker.posted(BODY, x_statehouse_timing="yes")
    first, second, third = worker.send(worker.posted(BODY), asking, worker.posted(BODY))
    milliseconds, rows = told(second)
    assert set(milliseconds) == {*PHASES, "total"}
    assert rows == 3
    assert "Server-Timing" not in first.headers
    assert "Server-Timing" not in third.headers
    assert first.body == second.body == third.body


def test_the_phases_add_up_to_the_total(worker):
    [response] = worker.send(worker.posted(BODY, x_statehouse_timing="yes"))
    milliseconds, _ = told(response)
    total = milliseconds.pop("total")
    assert abs(sum(milliseconds.values()) - total) < 0.01  # as many digits as are written


def test_a_refused_request_is_told_too(worker):
    [response] = worker.send(worker.posted(BAD, x_statehouse_timing="yes"))
    milliseconds, rows = told(response)
    assert response.status == 422
    assert rows == 0
    assert {"decode", "postprocess", "total"} <= set(milliseconds)


def test_what_is_watched_is_passed_on():
    class Seen(Observer):
        def __init__(self):
            self.phases, self.row_counts = [], []

        def phase(self, name):
            self.phases.append(name)
            return super().phase(name)

        def rows(self, count):
            self.row_counts.append(count)

    seen = Seen()
    times = PhaseTimes(seen)
    with times.phase("decode"):
        times.rows(2)
    with times.phase("decode"):
        pass
    assert seen.phases == ["decode", "decode"]
    assert seen.row_counts == [2]
    assert len(re.findall("decode;dur", times.header())) == 1
