"""Does something grow? Readings over time, the slope of what they fall back to, and its error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
WARM_UP_SHARE = 0.25  # of the cycles, at the start: caches fill, and stay full
FEWEST_CYCLES = 4  # after warm-up; fewer have no error worth its name


@dataclass(frozen=True)
class Growth:
    """One quantity over a run; slopes and their error (95 %) per minute."""

    name: str
    unit: str
    first: float
    last: float
    slope: float
    error: float
    bound: float

    @property
    def grows(self) -> bool:
        """Whether it grows, beyond doubt and beyond what does not matter."""
        return self.slope - self.error > self.bound

    @property
    def in_doubt(self) -> bool:
        """Whether the run was too short, or the quantity too restless, to tell."""
        return not self.grows and self.slope + self.error > self.bound


def growth(
    name: str,
    readings: Iterable[tuple[float, float]],
    *,
    unit: str = "",
    bound: float,
    cycle_seconds: float,
) -> Growth:
    """Return how a quantity grows, of which ``readings`` are (seconds since the start, value).

    What counts of each cycle is the least that it fell back to: what is only in use comes and goes within one.
    ValueError when there are too few cycles.
    """
    lowest: dict[int, float] = {}
    for seconds, value in readings:
        cycle = int(seconds // cycle_seconds)
        lowest[cycle] = min(value, lowest.get(cycle, value))
    counted = sorted(lowest)[round(len(lowest) * WARM_UP_SHARE) :]
    if len(counted) < FEWEST_CYCLES:
        raise ValueError(f"{name}: {len(lowest)} cycles of {cycle_seconds:g} s were seen; more are needed")
    minutes = np.array(counted) * cycle_seconds / 60
    values = np.array([lowest[cycle] for cycle in counted])
    fit = stats.linregress(minutes, values)
    # Where nothing moves there is no error, which SciPy calls undefined.
    stderr = 0.0 if np.ptp(values) == 0 else fit.stderr
    error = float(stderr * stats.t.ppf((1 + CONFIDENCE) / 2, len(counted) - 2))
    return Growth(name, unit, float(values[0]), float(values[-1]), float(fit.slope), error, bound)
