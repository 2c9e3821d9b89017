"""A change that runs, or waits for its turn: where it is, how long still, and how it is aborted."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from statehouse.scripts.errors import ChangeAbortedError

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """Who wants what: a kind of change to one model, and whether to wait for another that runs."""

    kind: str
    name: str
    user: str
    host: str
    wait: bool = True
    version: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def title(self) -> str:
        """What is wanted: ``swap digits 1.1``."""
        return " ".join(filter(None, (self.kind, self.name, self.version)))

    @property
    def who(self) -> str:
        """Who wants it: ``anna@host``."""
        return f"{self.user}@{self.host}"


@dataclass
class RunningStep:
    """The step that runs. ``seconds`` is what it takes: about, or at most; ``share`` says how much of it is done."""

    name: str
    seconds: float | None = None
    at_most: bool = False
    share: Callable[[], float] | None = None
    progress: str | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def took_seconds(self) -> float:
        """How long it runs by now."""
        return time.monotonic() - self.began

    @property
    def left_seconds(self) -> float | None:
        """How long still; None where nobody can say, or it takes longer than it should."""
        left = None if self.seconds is None else self.seconds - self.took_seconds
        return left if left is None or left > 0 else None

    @property
    def done_share(self) -> float | None:
        """How much of it is done, 0 to 1."""
        if self.share is not None:
            return min(max(self.share(), 0.0), 1.0)
        if self.seconds and not self.at_most:
            return min(self.took_seconds / self.seconds, 1.0)
        return None


class RunningChange:
    """One change, from its first wait to its end. ``seconds_ahead``: what the steps after this one take at least."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.aborted_by: str | None = None
        self.outcome: str | None = None
        self.ended = asyncio.Event()
        self.seconds_ahead = 0.0
        self.undoing = False
        self._began = time.monotonic()
        self._step: RunningStep | None = None
        self._cuttable: asyncio.Task[Any] | None = None
        self._cut = False

    # -- its steps

    def begin(self, step: RunningStep) -> None:
        """Say that a step has begun."""
        if step.seconds is not None and not step.at_most:
            self.seconds_ahead = max(self.seconds_ahead - step.seconds, 0.0)
        self._step = step

    def progress(self, text: str) -> None:
        """Say how far the step is."""
        if self._step is not None:
            self._step.progress = text

    # -- its abort

    def abort(self, by: str) -> None:
        """End it as soon as its step allows that, so that it is undone."""
        if self.aborted_by is None:
            self.aborted_by = by
            if self._cuttable is not None:
                self._cut = self._cuttable.cancel()

    @contextmanager
    def cuttable(self) -> Iterator[None]:
        """Run what an abort may cut off anywhere; raises ChangeAbortedError then, and before, if it came before."""
        self.refuse_aborted()
        task = None if self.undoing else asyncio.current_task()
        self._cuttable = task
        try:
            yield
        except (asyncio.CancelledError, Exception) as error:  # what was cut off may have failed to clean up
            if self._cut and task is not None and task.uncancel() == 0:
                self._cut = False
                raise self._aborted() from error
            raise
        else:
            self.refuse_aborted()
        finally:
            self._cuttable = None

    def finish_step(self) -> None:
        """Let no abort cut off the rest of this step: half of it would be neither the one nor the other."""
        self._cuttable = None

    def refuse_aborted(self) -> None:
        """Raise ChangeAbortedError when it is to go no further."""
        if self.aborted_by is not None and not self.undoing:
            raise self._aborted()

    def _aborted(self) -> ChangeAbortedError:
        where = f"during the step {self._step.name!r}" if self._step else "before it began"
        return ChangeAbortedError(f"{self.asked.title} was aborted by {self.aborted_by} {where}.")

    # -- what others are told

    def to_plain(self) -> Json:
        """Return it as `status` has it; times in seconds."""
        step, remaining = self._step, self._remaining()
        share = step.done_share if step else None
        return {
            "id": self.asked.id,
            "kind": self.asked.kind,
            "name": self.asked.name,
            "version": self.asked.version or None,
            "by": self.asked.who,
            "seconds": round(time.monotonic() - self._began, 1),
            "step": step.name if step else None,
            "progress": step.progress if step else None,
            "step_share": None if share is None else round(share, 3),
            "remaining": remaining and {"is": remaining[0], "seconds": round(remaining[1], 1)},
            "aborted_by": self.aborted_by,
            "text": self.told(),
        }

    def told(self) -> str:
        """Return it as people read it: ``swap digits 1.1 by anna@host: load, 50 % done, about 3 s left``."""
        who = f"{self.asked.title} by {self.asked.who}"
        if self.aborted_by is not None:
            who += f", being aborted by {self.aborted_by}"
        if self._step is None:
            return who
        share, remaining = self._step.done_share, self._remaining()
        parts = [
            self._step.progress or self._step.name,
            "" if share is None else f"{share * 100:.0f} % done",
            "" if remaining is None else f"{remaining[0]} {_duration(remaining[1])} left",
        ]
        return f"{who}: {', '.join(filter(None, parts))}"

    def _remaining(self) -> tuple[str, float] | None:
        left = self._step.left_seconds if self._step else None
        ahead = 0.0 if self.undoing else self.seconds_ahead
        if left is None:
            return ("at least", ahead) if ahead else None
        at_most = self._step is not None and self._step.at_most and not ahead
        return ("at most" if at_most else "about", left + ahead)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
