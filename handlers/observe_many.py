"""One observation counted several times at the price of one; the only place that knows prometheus-client inside."""

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Histogram


def observe_many(histogram: "Histogram", amount: float, count: int) -> None:
    """As `count` times `histogram.observe(amount)`, to the last digits of the sum."""
    if count > 1 and is_as_expected(histogram):
        histogram._sum.inc(amount * count)
        histogram._buckets[bisect_left(histogram._upper_bounds, amount)].inc(count)
        return
    for _ in range(count):
        histogram.observe(amount)


def is_as_expected(histogram: "Histogram") -> bool:
    """Whether the histogram is made of a sum, and of one counter per upper bound of which the last is infinite."""
    bounds, buckets = getattr(histogram, "_upper_bounds", None), getattr(histogram, "_buckets", None)
    return (
        isinstance(bounds, list | tuple)
        and isinstance(buckets, list)
        and len(bounds) == len(buckets) > 0
        and bounds[-1] == float("inf")
        and hasattr(histogram, "_sum")
    )
