"""What is counted of the answers that have one status and one version."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scripts.load_test.histogram import DurationHistogram


@dataclass
class Tally:
    """Times are the event loop's; minima are infinite and maxima minus infinite while there is no answer."""

    count: int = 0
    durations: DurationHistogram = field(default_factory=DurationHistogram)
    first_intended: float = math.inf
    last_intended: float = -math.inf
    last_sent: float = -math.inf
    first_answer: float = math.inf
    last_answer: float = -math.inf
    slowest_seconds: float = -1.0
    slowest_intended: float = -math.inf

    def add(self, intended: float, sent: float, now: float) -> None:
        """Count an answer that has come now."""
        seconds = now - intended
        self.count += 1
        self.durations.record(seconds)
        if seconds > self.slowest_seconds:
            self.slowest_seconds = seconds
            self.slowest_intended = intended
        if self.count == 1:
            self.first_answer = now
        self.last_answer = now
        self.first_intended = min(self.first_intended, intended)
        self.last_intended = max(self.last_intended, intended)
        self.last_sent = max(self.last_sent, sent)

    def merge(self, other: Tally) -> None:
        """Count all that ``other`` has counted."""
        self.count += other.count
        self.durations.add(other.durations)
        self.first_intended = min(self.first_intended, other.first_intended)
        self.last_intended = max(self.last_intended, other.last_intended)
        self.last_sent = max(self.last_sent, other.last_sent)
        self.first_answer = min(self.first_answer, other.first_answer)
        self.last_answer = max(self.last_answer, other.last_answer)
        if other.slowest_seconds > self.slowest_seconds:
            self.slowest_seconds = other.slowest_seconds
            self.slowest_intended = other.slowest_intended
