"""Is a new version worse than the old one? Judged by how real requests ended at the front."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.outcomes import Outcomes

# HAProxy counts in whole milliseconds: less than this is no difference.
LATENCY_FLOOR_SECONDS = 0.005


@dataclass(frozen=True)
class Limits:
    """How much worse a new version may be."""

    max_error_increase: float = 0.01  # of the share of answers that are the server's fault
    max_latency_ratio: float = 1.5  # of the 99th percentile
    min_answers: int = 20  # before latency is judged, of both


def verdict(old: Outcomes, new: Outcomes, limits: Limits) -> str | None:
    """Return why ``new`` is worse than ``limits`` allow, None while it is not."""
    return _too_many_errors(old, new, limits) or _too_slow(old, new, limits)


def _too_many_errors(old: Outcomes, new: Outcomes, limits: Limits) -> str | None:
    allowed = old.error_rate + limits.max_error_increase
    if new.failed == 0 or new.error_rate <= allowed:
        return None
    return (
        f"{new.failed} of {new.answered} answers failed ({new.error_rate:.1%}); "
        f"allowed is {allowed:.1%} (the old version had {old.error_rate:.1%})"
    )


def _too_slow(old: Outcomes, new: Outcomes, limits: Limits) -> str | None:
    if min(old.answered, new.answered) < limits.min_answers:
        return None
    old_p99, new_p99 = old.percentile_seconds(0.99), new.percentile_seconds(0.99)
    if old_p99 is None or new_p99 is None:
        return None
    allowed = max(old_p99 * limits.max_latency_ratio, old_p99 + LATENCY_FLOOR_SECONDS)
    if new_p99 <= allowed:
        return None
    return (
        f"99 % of answers took up to {new_p99 * 1000:.0f} ms; "
        f"allowed is {allowed * 1000:.0f} ms (the old version took {old_p99 * 1000:.0f} ms)"
    )
