"""Ours and one peer, in turn: several rounds, and what their medians say."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.load import Measure, Target, measure, warm_up
from benchmarks.workloads import Form

Say = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """One cell: a workload in one form at so many connections, ours and a peer's, one Measure each per round."""

    workload: str
    form: Form
    connections: int
    peer: str
    ours: tuple[Measure, ...]
    theirs: tuple[Measure, ...]

    def ratio(self, figure: str) -> float:
        """Return the median over the rounds of ours / theirs, for a field of Measure."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(
            getattr(our, figure) / (getattr(their, figure) or 1e-9) for our, their in pairs
        )

    def median(self, side: str, figure: str) -> float:
        """Return the median of ``ours`` or ``theirs``, for a field of Measure."""
        return statistics.median(getattr(each, figure) for each in getattr(self, side))

    @property
    def failed(self) -> dict[str, int]:
        """How many requests of either side were not answered by a 2xx."""
        return {side: sum(each.failed for each in getattr(self, side)) for side in ("ours", "theirs")}

    def to_plain(self) -> dict[str, Any]:
        """Plain data, ratios included."""
        figures = ("requests_per_second", "p50_seconds", "p99_seconds")
        return asdict(self) | {"ratios": {figure: self.ratio(figure) for figure in figures}}


def compare(
    workload: str,
    peer: str,
    targets: dict[Form, tuple[Target, Target]],
    *,
    connections: Sequence[int],
    rounds: int,
    seconds: float,
    standing_still: Callable[[], AbstractContextManager[None]],
    say: Say,
) -> Iterator[Comparison]:
    """Measure every form at every number of connections; who goes first changes from round to round.

    The peer is ``standing_still`` while ours is measured.
    """
    found: dict[tuple[Form, int], tuple[list[Measure], list[Measure]]] = {
        (form, count): ([], []) for form in targets for count in connections
    }
    for sides in targets.values():
        for target in sides:
            warm_up(target, max(connections))
    for round_number in range(rounds):
        say(f"{workload}, {peer}: round {round_number + 1} of {rounds}")
        for (form, count), sides in found.items():
            order = (0, 1) if round_number % 2 == 0 else (1, 0)
            for side in order:
                with standing_still() if side == 0 else nullcontext():
                    sides[side].append(measure(targets[form][side], count, seconds))
    for (form, count), (ours, theirs) in found.items():
        yield Comparison(workload, form, count, peer, tuple(ours), tuple(theirs))
