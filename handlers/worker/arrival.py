"""How long ago a request came, from the front's stamp of the wall clock, whatever is done to that clock meanwhile."""

import time

STEP_SECONDS = 0.05  # so much off, a clock was set; less is drift and the time between two readings


class ArrivalClock:
    """Compares stamps with the clock as it runs since it was last set; older stamps say nothing.

    Nor do those of more than `longest_seconds` ago: the front gives up sooner, so its clock is another.
    """

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._offset_seconds = time.time() - time.monotonic()
        self._trusted_since_us = 0

    def seconds_since(self, stamp_us: int) -> float:
        """Seconds since a stamp in µs since 1970; 0 where that cannot be known: without one, or across a set clock."""
        now = time.time()
        offset = now - time.monotonic()
        if abs(offset - self._offset_seconds) > STEP_SECONDS:
            self._trusted_since_us = int(now * 1e6)
        self._offset_seconds = offset
        if stamp_us <= self._trusted_since_us:
            return 0.0
        seconds = now - stamp_us / 1e6
        return seconds if 0 <= seconds <= self._longest_seconds else 0.0
