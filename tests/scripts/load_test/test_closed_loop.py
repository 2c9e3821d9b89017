"""A closed loop against real servers: N clients, each waiting for its answer."""

import asyncio
import os
import queue
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_async, run_still

from statehouse.scripts.load_test import ClosedLoop, LoadPlan, LoadResult, OpenLoop, run, run_load
from statehouse.scripts.load_test.recorder import Recording
from statehouse.scripts.load_test.summary import summarise


def test_each_connection_has_one_request_in_flight() -> None:
    async def slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.005)
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(slowly) as server:
            result = await run_load(server.plan(ClosedLoop(5, 0.4)))
        assert server.most_in_flight == server.connections == result.connections_opened == 5
        assert result.planned == result.sent == result.answered == len(server.arrived) > 5
        assert result.failed == result.connections_lost == 0
        assert result.latency.p50_seconds is not None
        assert result.latency.p50_seconds == pytest.approx(0.005, rel=0.01)
        assert result.generator.lateness.count > 1

    run_still(scenario())


def test_a_stall_is_one_slow_answer_here_and_many_in_an_open_loop() -> None:
    async def stall_once(exchange: Exchange) -> None:
        if exchange.index == 10:
            await asyncio.sleep(0.4)
        await asyncio.sleep(0.002)
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(stall_once) as server:
            closed = await run_load(server.plan(ClosedLoop(1, 1.0)))
        async with CountingServer(stall_once) as server:
            opened = await run_load(server.plan(OpenLoop(100, 1.0, max_connections=1)))
        assert closed.longest_gap_seconds >= 0.4
        assert opened.longest_gap_seconds >= 0.4
        assert closed.latency.max_seconds >= 0.4
        assert closed.latency.p90_seconds < opened.latency.p90_seconds

    run_still(scenario())


def test_what_is_in_flight_at_the_end_is_waited_for() -> None:
    async def slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.4)
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(slowly) as server:
            result = await run_load(server.plan(ClosedLoop(2, 0.2)))
        assert result.planned == result.answered == 2
        assert result.elapsed_seconds == pytest.approx(0.4, rel=0.05)

    run_still(scenario())


def test_a_lost_connection_is_made_again_and_its_request_counted() -> None:
    async def break_some(exchange: Exchange) -> None:
        await asyncio.sleep(0.002)
        if exchange.index in (3, 6):
            exchange.writer.close()
        else:
            exchange.answer()

    async def scenario() -> None:
        async with CountingServer(break_some) as server:
            result = await run_load(server.plan(ClosedLoop(2, 0.4)))
        assert result.errors == {"closed_before_answer": 2}
        assert result.reconnects == result.connections_lost == 2
        assert server.connections == result.connections_opened == 4
        assert result.planned == result.answered + 2

    run_still(scenario())


def test_a_server_that_is_not_there_is_tried_again_but_not_without_end() -> None:
    async def scenario() -> None:
        async with CountingServer() as server:
            plan: LoadPlan = server.plan(ClosedLoop(2, 0.35))
        result = await run_load(plan)
        assert set(result.errors) == {"connection_refused"}
        assert 2 <= result.errors["connection_refused"] <= 8
        assert result.planned == result.failed == result.errors["connection_refused"]

    run_still(scenario())


def test_the_last_that_failed_is_known_by_when_it_was_sent_and_by_its_connection() -> None:
    """Of three that fail on one connection after another: a 5xx, which keeps its own, and two that break theirs."""
    failed_at: list[float] = []

    async def fail_early(exchange: Exchange) -> None:
        if exchange.index not in (3, 5, 7):
            exchange.answer(429)
            return
        failed_at.append(asyncio.get_running_loop().time())
        exchange.answer(500) if exchange.index == 7 else exchange.reset()

    async def scenario() -> None:
        async with CountingServer(fail_early) as server:
            result = await run_load(server.plan(ClosedLoop(1, 0.3)))
            calm = await run_load(server.plan(ClosedLoop(1, 0.1)))
        last_sent = result.started_monotonic_seconds + result.last_failed_sent_seconds
        last_connected = result.started_monotonic_seconds + result.last_failed_connected_seconds
        assert failed_at[1] < last_connected < last_sent < failed_at[2]
        assert calm.last_failed_sent_seconds is None
        assert calm.last_failed_connected_seconds is None

    run_async(scenario())  # each happens at a time of its own


def test_it_can_be_stopped() -> None:
    async def slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.002)
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(slowly) as server:
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(0.2, stop.set)
            result = await run_load(server.plan(ClosedLoop(2, 60)), stop=stop)
        assert result.interrupted
        assert result.planned == result.answered == len(server.arrived) > 0
        assert result.elapsed_seconds == pytest.approx(0.2, abs=0.02)

    run_still(scenario())


def test_ctrl_c_after_the_last_answer_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the load is summed up, say: whoever runs one load after another must hear of it."""

    def interrupted(plan: LoadPlan, recording: Recording) -> LoadResult:
        os.kill(os.getpid(), signal.SIGINT)
        return summarise(plan, recording)

    monkeypatch.setattr(sys.modules[run.__module__], "summarise", interrupted)
    plans: queue.SimpleQueue[LoadPlan] = queue.SimpleQueue()
    over = threading.Event()

    async def serve() -> None:
        async with CountingServer() as server:
            plans.put(server.plan(ClosedLoop(1, 0.05)))
            await asyncio.to_thread(over.wait)

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(asyncio.run, serve())
        try:
            result = run(plans.get(timeout=60))
        finally:
            over.set()
        served.result()
    assert result.interrupted
    assert result.answered == result.planned > 0
