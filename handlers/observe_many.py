"""One observation counted several times at the price of one; the only place that knows prometheus-client inside."""

from bisect import bisect_left
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Histogram

ObserveMany = Callable[[float, int], None]


def many_observer(histogram: "Histogram") -> ObserveMany:
    """What, called with an amount and a count, does so many `histogram.observe(amount)`, to the sum's last digits."""
    if not is_as_expected(histogram):

        def one_by_one(amount: float, count: int) -> None:
            for _ in range(count):
                histogram.observe(amount)

        return one_by_one
    bounds, buckets, total = histogram._upper_bounds, histogram._buckets, histogram._sum

    def at_once(amount: float, count: int) -> None:
        if count:
            total.inc(amount * count)
            buckets[bisect_left(bounds, amount)].inc(count)

    return at_once


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
