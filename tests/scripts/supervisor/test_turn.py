"""One thing at a time alters what is served, and a stop ends it."""

from __future__ import annotations

import asyncio

import pytest

from statehouse.scripts.errors import ChangeAbortedError
from statehouse.scripts.supervisor.running_change import Asked, RunningChange
from statehouse.scripts.supervisor.turn import Turn


def test_a_stop_cancels_the_change_that_runs_and_waits_until_it_is_settled():
    turn, settled = Turn(), []
    running = RunningChange(Asked("swap", "net", "me", "here"))

    async def change():
        async with turn.lock:
            with turn.of_change(running):
                try:
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(0)
                    settled.append(turn.running)

    async def run():
        task = asyncio.create_task(change())
        while turn.running is None:
            await asyncio.sleep(0)
        await turn.stop()
        assert settled == [running]
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert turn.stopping
    assert turn.running is None


def test_a_stop_without_a_change_waits_for_nothing():
    turn = Turn()
    asyncio.run(turn.stop())
    assert turn.stopping


def test_a_change_that_waits_is_found_by_its_id_and_ends_when_it_is_aborted():
    turn, waiting = Turn(), RunningChange(Asked("swap", "net", "me", "here"))

    async def run():
        async with turn.lock:  # another change
            task = asyncio.create_task(turn.acquire(waiting))
            while not turn.waiting:
                await asyncio.sleep(0)
            assert turn.find(None) is None
            assert turn.find("another") is None
            turn.find(waiting.asked.id).abort("you@there")
            with pytest.raises(ChangeAbortedError, match="swap net was aborted by you@there before it began"):
                await task
        assert not turn.waiting
        assert not turn.lock.locked()

    asyncio.run(run())
