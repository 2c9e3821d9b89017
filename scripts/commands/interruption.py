"""What Ctrl-C, `kill` and a closed terminal mean to a command whose change runs: it goes on, unless it is aborted."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.control.followed_change import FollowedChange, Interrupted
from statehouse.scripts.errors import CommandError, GoesOnError
from statehouse.scripts.progress import Report, Step
from statehouse.scripts.terminal import question

Json = dict[str, Any]
_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OURS = (signal.SIG_DFL, signal.default_int_handler)


def carried_out(client: ControlClient, kind: str, on_step: Report, **wanted: Any) -> Json:  # noqa: ANN401 - JSON
    """Ask for a change and follow it to its end, as `ControlClient.change` does.

    The first Ctrl-C at a terminal asks whether to abort it. A second one, any other signal, and one where nobody can
    be asked, leaves it to go on: GoesOnError.
    """
    followed, aborted = client.begin_change(kind, **wanted), False
    with _interrupted_by_signals(followed):
        while True:
            try:
                return followed.result(_hung_up_by(on_step))
            except Interrupted as signalled:
                if not aborted and _is_to_be_aborted(followed, signalled.number):
                    aborted = _abort(client, followed)
                elif not followed.has_ended:  # else its result says more
                    raise _goes_on(followed, signalled.number, aborted=aborted) from None


def _hung_up_by(on_step: Report) -> Report:
    """Report steps; a terminal that cannot be written to any more is closed, and its signal on the way."""

    def report(step: Step) -> None:
        try:
            on_step(step)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise Interrupted(signal.SIGHUP) from error

    return report


def _is_to_be_aborted(followed: FollowedChange, number: int) -> bool:
    if number != signal.SIGINT or followed.id is None or not question.somebody_is_there():
        return False
    known = len(followed.signals)
    return question.is_yes(
        f"\n{followed.title} runs in the server, and goes on there without this command (Enter, or Ctrl-C again).\n"
        "Abort it and undo what it has done?",
        lambda: followed.has_ended or len(followed.signals) > known,
    )


def _abort(client: ControlClient, followed: FollowedChange) -> bool:
    try:
        client.abort(followed.id, wait=False)
    except CommandError:  # it has ended meanwhile, and has said how
        return False
    return True


def _goes_on(followed: FollowedChange, number: int, *, aborted: bool) -> GoesOnError:
    told = "is being undone in the background" if aborted else "goes on in the background"
    then = "`statehouse status` shows it" + ("" if aborted else ", `statehouse abort` undoes it")
    return GoesOnError(f"{followed.title} {told}: {then}.", 128 + number)


@contextmanager
def _interrupted_by_signals(followed: FollowedChange) -> Iterator[None]:
    """Let signals interrupt the wait for the result; but not those that our parent, `nohup` say, has us ignore."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        followed.interrupt(number)

    before = {number: signal.getsignal(number) for number in _NUMBERS}
    ours = [number for number in _NUMBERS if before[number] in _OURS]
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
