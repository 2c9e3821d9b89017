"""What became of every request, one row each: all figures of a load are made from these, after it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_OUTCOMES = 256
OTHER_VERSIONS = "(others)"  # when a server names more versions than can be told apart
UNSENT = "unsent"

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Outcome(NamedTuple):
    """How a request ended: by an answer with a status, or without one, by an ErrorKind or `UNSENT`."""

    status: int | None
    version: str | None = None
    error: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether it is an answer of 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_not_served(self) -> bool:
        """Whether it is the server's failure: a 5xx, or no answer."""
        return self.error != UNSENT if self.status is None else self.status >= 500


@dataclass(frozen=True)
class Records:
    """Columns of equal length, in seconds from the start of the load; ``sent`` is NaN for what was not.

    ``connected`` is when the connection was begun that carried it, NaN where there was none. ``outcome`` points
    into ``outcomes``. Rows are in no order.
    """

    due: Floats
    sent: Floats
    ended: Floats
    connected: Floats
    outcome: NDArray[np.uint16]
    outcomes: tuple[Outcome, ...]

    def __len__(self) -> int:
        return len(self.due)

    @property
    def seconds(self) -> Floats:
        """From when each was due to its end."""
        return self.ended - self.due

    @property
    def answered(self) -> Mask:
        """Which rows are answers, of any status."""
        return self.where([outcome.status is not None for outcome in self.outcomes])

    @property
    def good(self) -> Mask:
        """Which rows are answers of 2xx."""
        return self.where([outcome.is_good for outcome in self.outcomes])

    @property
    def not_served(self) -> Mask:
        """Which rows have no answer though they were sent or nothing could be connected to, or one of 5xx."""
        return self.where([outcome.is_not_served for outcome in self.outcomes])

    def of_version(self, version: str | None) -> Mask:
        """Which rows are answers of one version; of None: those that name none."""
        return self.where(
            [outcome.status is not None and outcome.version == version for outcome in self.outcomes]
        )

    def versions(self) -> list[str | None]:
        """Return the versions that answered, in the order of their first answers."""
        first: dict[str | None, float] = {}
        for outcome, at in zip(self.outcomes, self._first_ended(), strict=True):
            if outcome.status is not None:
                first[outcome.version] = min(at, first.get(outcome.version, math.inf))
        return sorted(first, key=lambda version: first[version])

    def counts(self, among: Mask | None = None) -> dict[Outcome, int]:
        """Return how many rows have each outcome, those that none has left out."""
        rows = self.outcome if among is None else self.outcome[among]
        numbers = np.bincount(rows, minlength=len(self.outcomes))
        return {outcome: int(count) for outcome, count in zip(self.outcomes, numbers, strict=True) if count}

    def where(self, wanted: Sequence[bool]) -> Mask:
        """Return the rows whose outcome is wanted, one boolean per outcome."""
        mask: Mask = np.array(wanted, dtype=np.bool_)[self.outcome] if len(wanted) else np.zeros(0, np.bool_)
        return mask

    def _first_ended(self) -> Floats:
        first = np.full(len(self.outcomes), np.inf)
        np.minimum.at(first, self.outcome, self.ended)
        return first


class RecordRows:
    """Takes rows while a load runs, in the event loop's time, as cheaply as can be."""

    def __init__(self) -> None:
        self._due = array("d")
        self._sent = array("d")
        self._ended = array("d")
        self._connected = array("d")
        self._outcome = array("H")
        self._indexes: dict[Outcome, int] = {}

    def add(
        self, outcome: Outcome, due: float, sent: float, ended: float, connected: float = math.nan
    ) -> None:
        """Take one request that has ended."""
        index = self._indexes.get(outcome)
        if index is None:
            index = self._new_index(outcome)
        self._due.append(due)
        self._sent.append(sent)
        self._ended.append(ended)
        self._connected.append(connected)
        self._outcome.append(index)

    def recent_seconds(self, count: int) -> Floats:
        """Return from due to end of the last ``count`` rows."""
        due, ended = self._due[-count:], self._ended[-count:]  # copies: a view would forbid to append
        seconds: Floats = np.array(ended) - np.array(due)
        return seconds

    def __len__(self) -> int:
        return len(self._due)

    def records(self, started: float) -> Records:
        """Return all rows, as seconds from ``started``."""
        return Records(
            np.array(self._due) - started,
            np.array(self._sent) - started,
            np.array(self._ended) - started,
            np.array(self._connected) - started,
            np.array(self._outcome, dtype=np.uint16),
            tuple(self._indexes),
        )

    def _new_index(self, outcome: Outcome) -> int:
        if len(self._indexes) >= MAX_OUTCOMES and outcome.version is not None:
            outcome = outcome._replace(version=OTHER_VERSIONS)
        return self._indexes.setdefault(outcome, len(self._indexes))


def merge_records(parts: Sequence[Records]) -> Records:
    """Return the rows of several processes as one; their starts are the same."""
    outcomes = list(dict.fromkeys(outcome for part in parts for outcome in part.outcomes))
    index_of = {outcome: index for index, outcome in enumerate(outcomes)}
    renumbered = [
        np.array([index_of[outcome] for outcome in part.outcomes], dtype=np.uint16)[part.outcome]
        for part in parts
    ]
    return Records(
        np.concatenate([part.due for part in parts]),
        np.concatenate([part.sent for part in parts]),
        np.concatenate([part.ended for part in parts]),
        np.concatenate([part.connected for part in parts]),
        np.concatenate(renumbered),
        tuple(outcomes),
    )
