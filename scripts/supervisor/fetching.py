"""Versions that are only in the store come to this machine in a thread: what serves goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from statehouse.scripts.store import ModelStore, PublishedVersion, Tell

Result = TypeVar("Result")


async def fetch(store: ModelStore, name: str, version: str, tell: Tell) -> PublishedVersion:
    """Return a version that is on this machine, fetched if it was not; ``tell`` is told of the progress.

    Cancelled, it leaves what has come for the next time. Raises StoreError.
    """
    loop, stop = asyncio.get_running_loop(), threading.Event()

    def tell_there(text: str) -> None:
        if not stop.is_set():
            loop.call_soon_threadsafe(tell, text)

    try:
        return await _in_a_thread(lambda: store.obtain(name, version, tell_there, stop))
    finally:
        stop.set()


async def _in_a_thread(work: Callable[[], Result]) -> Result:
    """Await ``work``; unlike a pool's threads this one never holds up the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            _hand_over(loop, done, partial(done.set_exception, error))
        else:
            _hand_over(loop, done, partial(done.set_result, result))

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return await done


def _hand_over(
    loop: asyncio.AbstractEventLoop, done: asyncio.Future[Result], settle: Callable[[], None]
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(lambda: None if done.done() else settle())
