"""A question to whoever sits at the terminal."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable

from statehouse.scripts.terminal import console

POLL_SECONDS = 0.1


def somebody_is_there() -> bool:
    """Whether a question would be seen and could be answered: this runs in the foreground of a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return False


def is_yes(question: str, is_moot: Callable[[], bool] = lambda: False) -> bool:
    """Ask, and return whether the answer was yes; no answer, and one that is moot by now, is no."""
    console.pause()
    *lines, last = question.split("\n")
    for line in lines:
        console.err.print(line)
    console.err.print(f"{last} [y/N] ", end="")
    while not select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
        if is_moot():
            console.err.print()
            return False
    return sys.stdin.readline().strip().lower() in ("y", "yes")
