import pytest

from scripts.judge import Limits, verdict
from scripts.outcomes import Outcomes


def outcomes(*, served: int = 0, failed: int = 0, latency_ms: int = 10) -> Outcomes:
    found = Outcomes()
    for count, status in ((served, 200), (failed, 500)):
        for _ in range(count):
            found.add(status, latency_ms, "--")
    return found


@pytest.mark.parametrize(
    ("old", "new", "worse"),
    [
        (outcomes(served=100), outcomes(served=100), None),
        (outcomes(served=100), outcomes(served=98, failed=2), "2 of 100 answers failed"),
        (outcomes(served=90, failed=10), outcomes(served=90, failed=10), None),
        (outcomes(), outcomes(failed=1), "1 of 1 answers failed"),
        (outcomes(served=100), outcomes(served=100, latency_ms=16), "up to 16 ms; allowed is 15 ms"),
        (outcomes(served=100, latency_ms=1), outcomes(served=100, latency_ms=6), None),
        (outcomes(served=100), outcomes(served=19, latency_ms=5000), None),
        (outcomes(served=19), outcomes(served=100, latency_ms=5000), None),
    ],
)
def test_what_is_worse(old: Outcomes, new: Outcomes, worse: str | None) -> None:
    found = verdict(old, new, Limits())
    assert found is None if worse is None else worse in (found or "")


def test_limits_are_the_operators() -> None:
    new = outcomes(served=90, failed=10, latency_ms=100)
    assert verdict(outcomes(served=100), new, Limits(max_error_increase=0.2, max_latency_ratio=10)) is None
