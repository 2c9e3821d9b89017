"""Counts of processes that may be started again, from zero: what they had counted before is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Growing(Generic[Key]):
    """The totals of readings that begin anew now and then; what was counted after the last look before that is lost."""

    def __init__(self) -> None:
        self._before: defaultdict[Key, float] = defaultdict(float)
        self._latest: dict[Key, float] = {}

    def take(self, readings: Mapping[Key, float]) -> None:
        """Take what is read now; a count that has shrunk began anew, one that is absent may come back."""
        for key, value in readings.items():
            if value < self._latest.get(key, 0):
                self._before[key] += self._latest[key]
            self._latest[key] = value

    def __getitem__(self, key: Key) -> float:
        return self._before.get(key, 0) + self._latest.get(key, 0)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._latest))

    def keep(self, wanted: Callable[[Key], bool]) -> None:
        """Forget every count that is not ``wanted``."""
        for counts in (self._before, self._latest):
            for key in [key for key in counts if not wanted(key)]:
                del counts[key]
