"""What a closed terminal means to a command whose change runs, where the failed write comes before the signal."""

from __future__ import annotations

import os
import pty
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from statehouse.scripts.commands.interruption import carried_out
from statehouse.scripts.control.followed_change import FollowedChange
from statehouse.scripts.errors import GoesOnError


def lines() -> Iterator[dict[str, Any]]:
    yield {"change": "1", "title": "swap m 1.1"}
    yield {"step": {"name": "canary", "text": "canary 50%"}}
    threading.Event().wait()


class Client:
    """Hands out a change that has told one step and runs on."""

    def begin_change(self, kind: str, **wanted: Any) -> FollowedChange:
        return FollowedChange(lambda take: take(lines()))


def test_a_terminal_that_is_gone_leaves_the_change_to_go_on() -> None:
    controller, terminal = pty.openpty()
    os.close(controller)
    with pytest.raises(GoesOnError, match=r"swap m 1\.1 goes on in the background") as raised:
        carried_out(Client(), "swap", lambda step: os.write(terminal, b"x"))  # type: ignore[arg-type]
    assert raised.value.exit_code == 129
    os.close(terminal)


def test_what_is_printed_to_and_full_is_told_as_it_is() -> None:
    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        carried_out(Client(), "swap", full)  # type: ignore[arg-type]
