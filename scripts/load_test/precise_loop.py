"""An event loop whose timers are true to some tens of microseconds; asyncio rounds up to milliseconds."""

from __future__ import annotations

import asyncio
import ctypes
import select
import selectors

_PR_SET_TIMERSLACK = 29  # linux/prctl.h; if it is refused, timers stay up to 50 µs later
_SLACK_NANOSECONDS = 1000


def precise_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop for a load; from now on this thread's timers are not grouped with others."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _SLACK_NANOSECONDS, 0, 0, 0)
    return asyncio.SelectorEventLoop(_precise_selector())


def _precise_selector() -> selectors.BaseSelector:
    # Late: gevent, which Locust brings, takes epoll out of `selectors`.
    class PreciseSelector(selectors.EpollSelector):
        """Waits for epoll's descriptor by select(): it counts microseconds where epoll counts milliseconds."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """See selectors."""
            if timeout is not None and timeout > 0:
                select.select([self.fileno()], [], [], timeout)
                timeout = 0
            return super().select(timeout)

    return PreciseSelector()
