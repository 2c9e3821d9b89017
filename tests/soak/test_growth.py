"""That what the soak calls growth is growth, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from tests.soak.growth import growth

CYCLE = 20.0
SECONDS = np.arange(0.0, 1800.0, 2.0)


def of(values: np.ndarray, bound: float = 0.1) -> object:
    return growth("memory", zip(SECONDS, values, strict=True), unit="MiB", bound=bound, cycle_seconds=CYCLE)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.2, len(SECONDS))


def test_what_stays_does_not_grow() -> None:
    found = of(100 + noise())
    assert not found.grows
    assert not found.in_doubt
    assert abs(found.slope) <= 2 * found.error


def test_what_comes_and_goes_within_a_cycle_does_not_grow() -> None:
    found = of(100 + 50 * (SECONDS % CYCLE > 10) * SECONDS / 1800 + noise())
    assert not found.grows


def test_what_grows_only_while_it_warms_up_does_not_grow() -> None:
    assert not of(100 + np.minimum(SECONDS, 400.0) + noise()).grows


def test_a_slow_leak_is_seen_with_its_slope() -> None:
    found = of(100 + 0.5 * SECONDS / 60 + noise())
    assert found.grows
    assert found.slope == pytest.approx(0.5, abs=2 * found.error)


def test_a_leak_within_the_bound_is_none_and_one_in_the_noise_is_in_doubt() -> None:
    assert not of(100 + 0.5 * SECONDS / 60 + noise(), bound=1).grows
    short = slice(0, 100)
    restless = 100 + 50 * noise()[short]
    found = growth("x", zip(SECONDS[short], restless, strict=True), bound=0.1, cycle_seconds=CYCLE)
    assert not found.grows
    assert found.in_doubt


def test_one_more_of_something_each_swap_is_growth() -> None:
    assert of(np.floor(SECONDS / CYCLE), bound=0.1).grows


def test_too_few_cycles_are_refused() -> None:
    with pytest.raises(ValueError, match="more are needed"):
        growth("x", [(0, 1.0), (25, 1.0)], bound=0, cycle_seconds=CYCLE)
