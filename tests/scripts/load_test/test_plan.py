"""A plan is complete and valid before the first request."""

import dataclasses

import pytest

from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, LoadPlanError, OpenLoop

BODIES = (Body(b"[1]", "application/json"), Body(b"\0\0", "application/octet-stream"))
URL = "http://127.0.0.1:8080/predictions/digits?x=1"


@pytest.mark.parametrize(("rate", "duration", "count"), [(500, 10, 5000), (0.5, 4, 2), (333.3, 1, 333)])
def test_an_open_loop_has_rate_times_duration_requests_evenly_spaced(
    rate: float, duration: float, count: int
) -> None:
    offsets = OpenLoop(rate, duration).offsets_seconds()
    assert len(offsets) == OpenLoop(rate, duration).request_count == count
    assert offsets[0] == 0
    assert [round(offset * rate, 6) for offset in offsets] == list(range(count))
    assert offsets[-1] < duration


def test_requests_are_complete_http() -> None:
    plan = LoadPlan.for_url(URL, BODIES, ClosedLoop(1, 1))
    assert plan.url == URL
    first, second = plan.encode_requests()
    assert first.startswith(b"POST /predictions/digits?x=1 HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n")
    assert b"\r\ncontent-type: application/json\r\n" in first
    assert first.endswith(b"\r\ncontent-length: 3\r\n\r\n[1]")
    assert second.endswith(b"\r\ncontent-length: 2\r\n\r\n\0\0")


def test_an_address_of_version_6_stands_in_brackets() -> None:
    plan = LoadPlan.for_url("http://[::1]:8080", BODIES, ClosedLoop(1, 1))
    assert (plan.host, plan.path, plan.url) == ("::1", "/", "http://[::1]:8080/")


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(LoadPlanError) as caught:
        LoadPlan("a host", 0, "x y", (), OpenLoop(-1, 0, max_connections=0), timeout_seconds=0)
    text = "\n".join(caught.value.problems)
    for words in ("the host", "the port", "the path", "no body", "the rate", "the duration", "0 connections"):
        assert words in text
    assert "the timeout is 0 s" in text


def test_headers_cannot_be_smuggled_in() -> None:
    plan = LoadPlan.for_url(URL, BODIES, ClosedLoop(1, 1))
    for bad in ({"path": "/x\r\nA: b"}, {"bodies": (Body(b"x", "a\r\nb: c"),)}, {"host": "h\r\n"}):
        with pytest.raises(LoadPlanError):
            dataclasses.replace(plan, **bad)


@pytest.mark.parametrize(
    "url", ["https://host/x", "host:8080", "http://", "http://host:notaport/", "ftp://h/"]
)
def test_only_plain_http_can_be_loaded(url: str) -> None:
    with pytest.raises(LoadPlanError):
        LoadPlan.for_url(url, BODIES, ClosedLoop(1, 1))


def test_a_schedule_that_memory_cannot_hold_is_refused() -> None:
    with pytest.raises(LoadPlanError, match="expected 1 to 20000000"):
        LoadPlan.for_url(URL, BODIES, OpenLoop(1e6, 3600))
    with pytest.raises(LoadPlanError, match="0 requests"):
        LoadPlan.for_url(URL, BODIES, OpenLoop(0.1, 1))
