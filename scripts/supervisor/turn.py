"""Whose turn it is: one thing at a time alters what is served, be it a change, a start or healing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from statehouse.scripts.supervisor.running_change import RunningChange


class Turn:
    """Held by whoever alters what is served."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.running: RunningChange | None = None
        self.waiting: list[RunningChange] = []
        self.stopping = False
        self._change: asyncio.Task[Any] | None = None

    @contextmanager
    def of_change(self, running: RunningChange) -> Iterator[None]:
        """Say, while the caller's task holds the lock, which change it is: a stop cancels that task."""
        self.running, self._change = running, asyncio.current_task()
        try:
            yield
        finally:
            self.running = self._change = None

    async def acquire(self, running: RunningChange) -> None:
        """Take the lock once it is this change's turn; raises ChangeAbortedError when it is aborted before."""
        self.waiting.append(running)
        try:
            with running.cuttable():
                await self.lock.acquire()
        finally:
            self.waiting.remove(running)

    def find(self, change_id: str | None) -> RunningChange | None:
        """Return the change of this id, running or waiting; without an id the one that runs."""
        if change_id is None:
            return self.running
        known = [*([self.running] if self.running else []), *self.waiting]
        return next((each for each in known if each.asked.id == change_id), None)

    async def stop(self) -> None:
        """Let no change begin any more; cancel the one that runs, and wait until it has been settled."""
        self.stopping = True
        if self._change is not None:
            self._change.cancel()
            await asyncio.wait([self._change])
