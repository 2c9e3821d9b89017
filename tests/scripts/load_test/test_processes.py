"""Several processes send one load: the same requests as one would, and one account of all of them."""

import asyncio
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_async

from statehouse.scripts.load_test import (
    Body,
    ClosedLoop,
    LoadProgress,
    LoadTargetError,
    OpenLoop,
    run_in_processes,
)
from statehouse.scripts.load_test.arrivals import OpenEnd
from statehouse.scripts.load_test.errors import LoadGeneratorError


def test_every_request_is_sent_once_by_one_of_them() -> None:
    async def swap(exchange: Exchange) -> None:
        exchange.answer(200, "1.0" if exchange.index < 50 else "1.1")

    async def scenario() -> None:
        bodies = tuple(Body(bytes([index]), "application/octet-stream") for index in range(9))
        told: list[LoadProgress] = []
        async with CountingServer(swap) as server:
            plan = server.plan(OpenLoop(90, 1), bodies=bodies)
            result = await asyncio.to_thread(run_in_processes, plan, 2, told.append)
        assert sorted(server.arrived) == sorted(bytes([index % 9]) for index in range(90))
        assert result.planned == result.sent == result.answered == result.latency.count == 90
        assert sum(version.answers for version in result.versions) == 90
        assert {version.version for version in result.versions} == {"1.0", "1.1"}
        assert len(result.generator.cpu_shares) == 2
        assert result.generator.lateness.count == 90
        assert result.connections_opened == server.connections >= 2
        assert sorted(round(due * 90) for due in result.records.due) == list(range(90))
        assert told[-1].answered == 90

    run_async(scenario())


def test_connections_are_shared_and_never_more_processes_than_connections() -> None:
    async def slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.01)
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(slowly) as server:
            result = await asyncio.to_thread(run_in_processes, server.plan(ClosedLoop(3, 0.5)), 8)
        assert server.connections == 3
        assert server.most_in_flight <= 3
        assert len(result.generator.cpu_shares) == 3
        assert result.planned == result.answered == len(server.arrived)

    run_async(scenario())


@pytest.mark.parametrize("processes", [1, 2])
def test_an_open_end_repeats_the_schedule_until_it_is_known(processes: int) -> None:
    async def scenario() -> None:
        open_end = OpenEnd()

        def follow(progress: LoadProgress) -> None:
            if progress.elapsed_seconds > 1 and open_end.at_monotonic_seconds is None:
                open_end.at_monotonic_seconds = time.monotonic() + 2

        async with CountingServer() as server:
            plan = server.plan(OpenLoop(50, 0.5))
            result = await asyncio.to_thread(run_in_processes, plan, processes, follow, open_end)
        assert result.planned == result.answered == len(server.arrived) > 50
        assert result.failed == 0
        due = sorted(result.records.due)
        assert [round(each * 50) for each in due] == list(range(len(due)))
        assert open_end.at_monotonic_seconds is not None
        end = open_end.at_monotonic_seconds - result.started_monotonic_seconds
        assert due[-1] < end <= due[-1] + 2 / 50

    run_async(scenario())


def test_one_that_is_killed_ends_the_load_with_what_happened() -> None:
    async def scenario() -> None:
        async with CountingServer() as server:
            load = asyncio.to_thread(run_in_processes, server.plan(OpenLoop(50, 60)), 2)
            task = asyncio.create_task(load)
            while not server.arrived:
                await asyncio.sleep(0.05)
            children = multiprocessing.active_children()
            assert len(children) == 2
            os.kill(children[0].pid or 0, signal.SIGKILL)
            with pytest.raises(LoadGeneratorError, match="ended with -9"):
                await task
        assert not multiprocessing.active_children()

    run_async(scenario())


def test_a_host_that_cannot_be_found_is_told_by_the_first_process() -> None:
    async def scenario() -> None:
        async with CountingServer() as server:
            plan = replace(server.plan(OpenLoop(50, 1)), host="nowhere.invalid")
            with pytest.raises(LoadTargetError, match=r"'nowhere\.invalid' cannot be found"):
                await asyncio.to_thread(run_in_processes, plan, 2)

    run_async(scenario())
