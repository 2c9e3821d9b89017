"""A clock that a busy machine cannot move: for tests in which it matters what came before what."""

from __future__ import annotations

import asyncio
import selectors

ARRIVAL_SECONDS = 0.001  # of real time: what was written has arrived by then, but for rare ones


class StillLoop(asyncio.SelectorEventLoop):
    """Real sockets, but a clock of its own: it stands while something happens, and jumps to what is due next."""

    def __init__(self) -> None:
        self._now = 1000.0
        selector = selectors.EpollSelector()
        super().__init__(selector)
        select = selector.select

        def select_or_jump(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is None or timeout <= 0:
                return select(timeout)
            found = select(ARRIVAL_SECONDS)
            if not found:
                self._now += timeout
            return found

        selector.select = select_or_jump  # type: ignore[method-assign]

    def time(self) -> float:
        return self._now
