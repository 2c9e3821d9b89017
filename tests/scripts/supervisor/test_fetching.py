"""Fetching beside what serves."""

import asyncio
import threading

import pytest

from statehouse.scripts.errors import StoreAwayError
from statehouse.scripts.supervisor.fetching import fetch


class SlowStore:
    """A store whose transfer takes until it is let go on."""

    def __init__(self):
        self.began, self.go_on, self.ended = (threading.Event() for _ in range(3))
        self.stop = None

    def obtain(self, name, version, tell, stop):
        self.stop = stop
        tell("half of it")
        self.began.set()
        self.go_on.wait(60)
        self.ended.set()
        if version == "2.0":
            raise StoreAwayError("away")
        return f"{name}-{version}"


async def begun(store, version="1.0", told=None):
    task = asyncio.create_task(fetch(store, "digits", version, (told if told is not None else []).append))
    assert await asyncio.to_thread(store.began.wait, 60)
    return task


def test_the_loop_goes_on_and_hears_of_the_progress():
    async def scenario():
        store, told = SlowStore(), []
        task = await begun(store, told=told)
        await asyncio.sleep(0)
        assert told == ["half of it"]
        assert not task.done()
        store.go_on.set()
        return await task

    assert asyncio.run(scenario()) == "digits-1.0"


def test_what_fails_is_raised_where_it_is_awaited():
    async def scenario():
        store = SlowStore()
        store.go_on.set()
        await fetch(store, "digits", "2.0", lambda text: None)

    with pytest.raises(StoreAwayError):
        asyncio.run(scenario())


def test_a_fetch_that_is_cancelled_is_told_to_stop_and_holds_nothing_up():
    store = SlowStore()

    async def scenario():
        task = await begun(store)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())  # ends, although the transfer has not
    assert store.stop.is_set()
    assert not store.ended.is_set()
    store.go_on.set()
    assert store.ended.wait(60)
