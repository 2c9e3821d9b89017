"""How many changes there were, by model, kind and outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

REFUSED = "refused"  # a mistyped name, say: told and written down, and counted as nothing
OUTCOMES = DONE, FAILED, ROLLED_BACK, INTERRUPTED, ABORTED = (
    *("done", "failed", "rolled back", "interrupted"),
    "aborted",  # because somebody wanted that: no alert is about it
)

Key = tuple[str, str, str]


class ChangeCounts:
    """Counts of changes since this server started."""

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()

    def add(self, name: str, kind: str, outcome: str) -> None:
        """Count a change that has ended; what exactly became of an interrupted one, the history tells."""
        if outcome == REFUSED:
            return
        self._counts[name, kind, outcome.partition(",")[0]] += 1

    def counts(self, names: Iterable[str], kinds: Sequence[str], outcomes: Sequence[str]) -> dict[Key, int]:
        """Return all counts, and zeros for what could come of these names."""
        every = {(name, kind, outcome): 0 for name in names for kind in kinds for outcome in outcomes}
        return every | dict(self._counts)
