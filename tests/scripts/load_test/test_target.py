"""What a load on a running deployment is; loads on real ones are in tests/e2e."""

import pytest

from statehouse.scripts.errors import ArgumentError, CommandError
from statehouse.scripts.load_test import ClosedLoop, OpenLoop, Poisson, Ramp
from statehouse.scripts.load_test.target import ArrivalOptions, _served_version, choose_arrivals

STATUS = {
    "models": [
        {"name": "net", "version": "1.0", "default": False},
        {"name": "net", "version": "1.1", "default": True},
    ]
}


def test_a_load_is_either_open_or_closed() -> None:
    assert choose_arrivals(ArrivalOptions(1, rate=5)) == OpenLoop(5, 1)
    assert choose_arrivals(ArrivalOptions(1, connections=5)) == ClosedLoop(5, 1)
    with pytest.raises(ArgumentError, match="none was given"):
        choose_arrivals(ArrivalOptions(1))
    with pytest.raises(ArgumentError, match="--rate and --connections were given"):
        choose_arrivals(ArrivalOptions(1, rate=5, connections=5))


def test_a_rate_has_a_pattern() -> None:
    assert choose_arrivals(ArrivalOptions(1, rate=5, poisson=True, seed=3)) == OpenLoop(
        5, 1, pattern=Poisson(3)
    )
    assert choose_arrivals(ArrivalOptions(1, rate=5, ramp_to=9)) == OpenLoop(5, 1, pattern=Ramp(9))
    with pytest.raises(ArgumentError, match="go with --rate; --connections was given"):
        choose_arrivals(ArrivalOptions(1, connections=5, poisson=True))
    with pytest.raises(ArgumentError, match="do not go together"):
        choose_arrivals(ArrivalOptions(1, rate=5, poisson=True, ramp_to=9))


def test_golden_examples_are_those_of_the_version_that_will_answer() -> None:
    assert _served_version(STATUS, "net", "") == "1.1"
    assert _served_version(STATUS, "net", "1.0") == "1.0"
    with pytest.raises(CommandError, match=r"^net/2\.0 is not served; served is: net/1\.0, net/1\.1\. See"):
        _served_version(STATUS, "net", "2.0")
    with pytest.raises(CommandError, match=r"^other is not served; served is: nothing"):
        _served_version({"models": []}, "other", "")
