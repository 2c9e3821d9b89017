"""How far a transfer is: a bar, the bytes and the speed, told often enough and not too often."""

from __future__ import annotations

import time

from statehouse.scripts.store.base import Tell

WIDTH = 24
LEAST_SECONDS = 2.0  # what is done sooner needs no bar
LONGEST_SECONDS = 10.0
LEAST_SHARE = 0.05


class Meter:
    """Counts the bytes of one transfer."""

    def __init__(self, what: str, total_bytes: int, tell: Tell) -> None:
        self._what = what
        self._tell = tell
        self._total_bytes = total_bytes
        self._done_bytes = self._told_bytes = 0
        self._began = self._told = time.monotonic()
        self.moved_bytes = 0  # through the network; the rest was here, or there, already

    def add(self, count: int, *, moved: bool = True) -> None:
        """Count more bytes, and tell of them where it is time."""
        self._done_bytes += count
        self.moved_bytes += count if moved else 0
        waited = time.monotonic() - self._told
        share = (self._done_bytes - self._told_bytes) / max(self._total_bytes, 1)
        if waited >= LONGEST_SECONDS or (waited >= LEAST_SECONDS and share >= LEAST_SHARE):
            self._told, self._told_bytes = time.monotonic(), self._done_bytes
            self._tell(self.text())

    def note(self, text: str) -> None:
        """Tell something of the transfer that is no number."""
        self._tell(f"{self._what}: {text}")

    def text(self) -> str:
        """Return the bar, with what it stands for."""
        share = min(1.0, self._done_bytes / max(self._total_bytes, 1))
        filled = round(WIDTH * share)
        speed = self.moved_bytes / max(time.monotonic() - self._began, 1e-3) / 1e6
        done, total = (f"{each / 1e6:,.0f}" for each in (self._done_bytes, self._total_bytes))
        bar = "━" * filled + "─" * (WIDTH - filled)
        return f"{self._what}  {bar} {share:4.0%}  {done} of {total} MB, {speed:,.1f} MB/s"
