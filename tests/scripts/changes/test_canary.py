import pytest

from statehouse.scripts.changes.canary import AllowedWorsening, too_few, verdict
from statehouse.scripts.traffic.outcomes import Outcomes


def outcomes(*, served: int = 0, refused: int = 0, failed: int = 0, latency_ms: int = 10) -> Outcomes:
    found = Outcomes()
    for count, status in ((served, 200), (refused, 422), (failed, 500)):
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
        (
            outcomes(served=100),
            outcomes(served=50, refused=50),
            "50 of 100 requests were refused with 4xx (50.0%)",
        ),
        (outcomes(served=50, refused=50), outcomes(served=50, refused=50), None),
        (outcomes(served=100), outcomes(served=100, latency_ms=16), "up to 16 ms; allowed is 15 ms"),
        (outcomes(served=100, latency_ms=1), outcomes(served=100, latency_ms=6), None),
        (outcomes(served=100), outcomes(served=19, latency_ms=5000), None),
        (outcomes(served=19), outcomes(served=100, latency_ms=5000), None),
    ],
)
def test_what_is_worse(old: Outcomes, new: Outcomes, worse: str | None) -> None:
    found = verdict(old, new, AllowedWorsening())
    assert found is None if worse is None else worse in (found or "")


def test_how_much_worse_is_allowed_is_the_operators_choice() -> None:
    new = outcomes(served=90, failed=10, latency_ms=100)
    assert (
        verdict(outcomes(served=100), new, AllowedWorsening(max_error_increase=0.2, max_latency_ratio=10))
        is None
    )


def test_of_a_few_requests_nothing_is_judged() -> None:
    told = too_few(outcomes(served=49), AllowedWorsening())
    assert told is not None
    assert told.startswith("it had 49 requests, and at least 50 are needed")
    assert "--without-traffic flip" in told
    assert too_few(outcomes(served=40, refused=5, failed=5), AllowedWorsening()) is None
    assert too_few(outcomes(), AllowedWorsening(without_traffic="flip")) is None


def test_what_was_judged_is_told() -> None:
    told = outcomes(served=7, refused=2, failed=1, latency_ms=3).told()
    assert told == "10 requests, 1 failed, 2 refused, p50 3 ms, p99 3 ms"
    assert outcomes().told() == "0 requests, 0 failed, 0 refused"
