"""Whether a worker is alive, idle or busy: a few bytes that it stamps in a shared file, and whoever watches it reads.

A process that stands still keeps its sockets, and whoever connects to them is not refused: only what a worker does
itself tells that it lives. Times are of the monotonic clock, which all processes of a machine share.
"""

import mmap
import struct
import time
from pathlib import Path
from typing import NamedTuple, Self

STAMP_SECONDS = 0.25  # how often an idle worker stamps
_FORM = struct.Struct("=QQQQ")


class Pulse:
    """The worker's side."""

    def __init__(self, path: Path) -> None:
        beside = path.with_name(f".{path.name}")
        beside.touch(mode=0o600)
        with beside.open("r+b") as file:
            file.write(bytes(mmap.PAGESIZE))  # a full disk fails here, and not by a signal at the first stamp
            file.flush()
            self._stamps = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._busy_ns = self._answered = self._began = 0
        self.idle()
        beside.replace(path)

    def idle(self) -> None:
        """Nothing is being computed now."""
        _FORM.pack_into(self._stamps, 0, time.monotonic_ns(), 0, self._busy_ns, self._answered)

    def busy(self) -> None:
        """A batch begins."""
        self._began = now = time.monotonic_ns()
        _FORM.pack_into(self._stamps, 0, now, now, self._busy_ns, self._answered)

    def answered(self, request_count: int) -> None:
        """The batch has ended."""
        now = time.monotonic_ns()
        self._busy_ns += now - self._began
        self._answered += request_count
        _FORM.pack_into(self._stamps, 0, now, 0, self._busy_ns, self._answered)


class Beat(NamedTuple):
    """What a worker's stamps say: the time of the last, since when it is busy with one batch (None: it is idle).

    And in all how long it was busy, and how many requests it answered in that time.
    """

    stamped_seconds: float
    busy_since_seconds: float | None
    busy_seconds: float
    answered_requests: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """What the file says now; raises OSError where there is none, ValueError where it is none of a worker's."""
        with path.open("rb") as file:
            content = file.read(_FORM.size)
        if len(content) < _FORM.size:
            raise ValueError(f"{path} has {len(content)} bytes; a worker's pulse has {_FORM.size}")
        stamped, busy_since, busy, answered = _FORM.unpack(content)
        return cls(stamped / 1e9, busy_since / 1e9 if busy_since else None, busy / 1e9, answered)
