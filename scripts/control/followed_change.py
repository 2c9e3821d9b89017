"""A change that a command asked for, as the supervisor tells of it: a thread reads, so that a signal cuts no line."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

from statehouse.scripts.errors import CommandError
from statehouse.scripts.progress import Report, Step

Json = dict[str, Any]
Take = Callable[[Iterable[Json]], None]


class Interrupted(Exception):  # noqa: N818 - it is no error
    """A signal came while the change was followed, which may be followed on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class FollowedChange:
    """What is told of one change; ``read`` hands its lines over, or raises why there are none."""

    def __init__(self, read: Callable[[Take], None]) -> None:
        self.id: str | None = None  # both are told first
        self.title = "the change"
        self.has_ended = False
        self.signals: list[int] = []
        self._lines: queue.SimpleQueue[Json | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(read,), name="followed change", daemon=True).start()

    def result(self, on_step: Report) -> Json:
        """Report each step and return what came of it.

        Raises CommandError with the supervisor's reason, what reading raised, and Interrupted: then call it again.
        """
        while True:
            line = self._lines.get()
            if isinstance(line, Exception):
                raise line
            if "step" in line:
                on_step(Step(**line["step"]))
            elif line["outcome"] != "done":
                raise CommandError(line["message"])
            else:
                return dict(line["result"])

    def interrupt(self, number: int) -> None:
        """Interrupt the wait for the result; for a signal's handler, which must not raise: a line would be lost."""
        self.signals.append(number)
        self._lines.put(Interrupted(number))

    def _read(self, read: Callable[[Take], None]) -> None:
        try:
            read(self._take)
        except Exception as error:  # noqa: BLE001 - raised where the result is waited for
            self._lines.put(error)
        self.has_ended = True

    def _take(self, lines: Iterable[Json]) -> None:
        for line in lines:
            if "change" in line:
                self.id, self.title = line["change"], line["title"]
            else:
                self._lines.put(line)
                if "outcome" in line:
                    return
        raise CommandError("The supervisor ended before it said how it went: see `statehouse status`.")
