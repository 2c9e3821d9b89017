"""A `statehouse` command that runs in the middle of a load."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statehouse.scripts.deployment.file import DEPLOYMENT_VARIABLE
from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.load_test.arrivals import OpenEnd
from statehouse.scripts.load_test.phases import Phase, phases_of
from statehouse.scripts.load_test.progress import LoadProgress
from statehouse.scripts.load_test.result import LoadResult

_CODE = "from statehouse.scripts.cli import main; main()"
_FORBIDDEN = ("serve", "load-test")  # what does not end by itself, or would be a load on a load


@dataclass(frozen=True)
class DuringResult:
    """What the command did; times are seconds from the start of the load."""

    command: str
    began_seconds: float
    ended_seconds: float
    exit_code: int
    output: str
    phases: tuple[Phase, ...] = field(repr=False)

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "phases": [phase.to_plain() for phase in self.phases]}


class DuringCommand:
    """Runs ``text``, the words after ``statehouse``, with so many seconds of load before it and after it.

    However long it takes: ``open_end`` tells the load when to end.
    """

    def __init__(self, text: str, *, seconds_around: float, deployment_file: Path) -> None:
        """Raises ArgumentError for what is no command."""
        self.text = text.removeprefix("statehouse ").strip()
        try:
            self._words = shlex.split(self.text)
        except ValueError as error:
            raise ArgumentError(f"--during {text!r} cannot be read: {error}.") from error
        if not self._words or self._words[0].startswith("-") or self._words[0] in _FORBIDDEN:
            raise ArgumentError(
                f"--during {text!r} is no command to run during a load; give one such as 'swap digits 1.1', "
                "'rollback digits' or 'scale digits 1.0 2'."
            )
        self._seconds_around = seconds_around
        self.open_end = OpenEnd()
        self._environment = os.environ | {DEPLOYMENT_VARIABLE: str(deployment_file.absolute())}
        self._thread: threading.Thread | None = None
        self._began = self._ended = 0.0
        self._done: subprocess.CompletedProcess[str] | None = None

    def follow(self, progress: LoadProgress) -> None:
        """Start it when it is time."""
        if self._thread is None and progress.elapsed_seconds >= self._seconds_around:
            self._thread = threading.Thread(target=self._run, name="during", daemon=True)
            self._thread.start()

    def finish(self, result: LoadResult) -> DuringResult | None:
        """Wait until it has ended and return what it did; None when the load ended before it began."""
        if self._thread is not None:
            self._thread.join()
        if self._done is None:
            return None
        zero = result.started_monotonic_seconds
        began, ended = self._began - zero, self._ended - zero
        output = "\n".join(part.strip() for part in (self._done.stdout, self._done.stderr) if part.strip())
        phases = tuple(phases_of(result.records, began, ended))
        return DuringResult(self.text, began, ended, self._done.returncode, output, phases)

    def _run(self) -> None:
        self._began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _CODE, *self._words],
            capture_output=True, text=True, check=False, env=self._environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self._ended = time.monotonic()
        self._done = done
        self.open_end.at_monotonic_seconds = self._ended + self._seconds_around
