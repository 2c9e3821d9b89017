"""What people are shown says everything that was counted."""

import asyncio

import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_async

from statehouse.scripts.load_test import ClosedLoop, LoadResult, OpenLoop, run, run_load
from statehouse.scripts.load_test.progress import LoadProgress
from statehouse.scripts.load_test.report import LiveProgress, print_result


async def swap_with_faults(exchange: Exchange) -> None:
    if exchange.index == 5:
        exchange.writer.write(b"nonsense\r\n\r\n")
    else:
        exchange.answer(500 if exchange.index == 6 else 200, "1.0" if exchange.index < 10 else "1.1")


def test_the_report_names_failures_versions_and_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        async with CountingServer(swap_with_faults) as server:
            print_result(await run_load(server.plan(OpenLoop(100, 0.3))))

    run_async(scenario())
    text = capsys.readouterr().out
    for words in (
        *("✗ 28 of 30 answered well, 2 not", "open loop, 100 per second for 0.3 s", "longest gap"),
        *(
            "200 × 8, 500 × 1",
            "not http × 1",
            "1.0",
            "1.1",
            "all",
            "slowest answer",
            " lost, ",
            " made again",
        ),
    ):
        assert words in text


def test_a_load_without_a_single_answer_has_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        async with CountingServer() as server:
            plan = server.plan(ClosedLoop(1, 0.15))
        print_result(await run_load(plan))

    run_async(scenario())
    text = capsys.readouterr().out
    assert "0 of 2 answered well, 2 not" in text
    assert "connection refused × 2" in text
    assert "P50" not in text


def test_json_has_every_count_and_no_nan() -> None:
    import json

    results: list[LoadResult] = []

    async def scenario() -> None:
        async with CountingServer(swap_with_faults) as server:
            results.append(await run_load(server.plan(OpenLoop(100, 0.3))))

    run_async(scenario())
    plain = json.loads(json.dumps(results[0].to_plain(), allow_nan=False))
    assert plain["load"]["loop"] == "open"
    assert (plain["load"]["rate_per_second"], plain["planned"], plain["failed"]) == (100, 30, 2)
    assert plain["statuses"] == {"200": 28, "500": 1}
    assert plain["errors"] == {"not_http": 1}
    assert [version["version"] for version in plain["versions"]] == ["1.0", "1.1"]
    assert plain["versions"][0]["last_sent_seconds"] < plain["versions"][1]["last_sent_seconds"]
    assert plain["latency"]["count"] == 29
    assert plain["generator"]["lateness"]["count"] == 30


def test_a_generator_that_is_held_up_says_so() -> None:
    async def block(exchange: Exchange) -> None:
        import time

        time.sleep(0.02)  # the server shares the generator's loop here, so this makes it late
        exchange.answer()

    results: list[LoadResult] = []

    async def scenario() -> None:
        async with CountingServer(block) as server:
            results.append(await run_load(server.plan(OpenLoop(100, 0.3))))

    run_async(scenario())
    assert results[0].generator.bottleneck is not None
    assert "late at p99" in results[0].generator.bottleneck


def test_progress_where_there_is_no_terminal_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        async with CountingServer() as server:
            plan = server.plan(OpenLoop(100, 60))
        with LiveProgress(plan) as live:
            live.show(LoadProgress(1.0, 6000, 100, 90, 5, 5))

    run_async(scenario())
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_run_needs_no_event_loop_of_its_callers() -> None:
    ports: list[int] = []
    results: list[LoadResult] = []

    async def serve(ready: asyncio.Event) -> None:
        async with CountingServer() as server:
            ports.append(server.port)
            plan = server.plan(OpenLoop(50, 0.2))
            results.append(await asyncio.to_thread(run, plan))
            ready.set()

    run_async(serve(asyncio.Event()))
    assert results[0].answered == 10
