"""Whether a second run bears out what the first one found; the whole of a result is printed in test_report.py."""

import math

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.load_test.arrivals import ClosedLoop
from statehouse.scripts.tuning.choice import MIN_GAIN, Figures, Goal, Measured
from statehouse.scripts.tuning.result import SecondRun, TuneResult, plain_result


def measured(*rounds: tuple[float, float], failed: int = 0) -> Measured:
    """Rounds of requests per second and p99."""
    return Measured(VersionSettings(), tuple((Figures(rate, p99 / 2, p99, failed),) for rate, p99 in rounds))


def result(present: Measured, chosen: Measured | None, second: SecondRun | None = None, **more) -> TuneResult:
    found = (present,) if chosen is None else (present, chosen)
    told = {"goal": Goal(), "written": False, "bottleneck": None} | more
    return TuneResult(
        "net", "1.0", loads=(ClosedLoop(8, 2.0),), found=found, chosen=chosen, second_run=second, **told
    )


def test_the_gain_is_the_median_over_rounds_that_were_measured_in_turn() -> None:
    second = SecondRun(measured((100, 1), (200, 1), (100, 1)), measured((150, 1), (200, 1), (300, 1)))
    assert second.gain(Goal()) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("gain", "confirmed"), [(MIN_GAIN + 0.001, True), (MIN_GAIN - 0.001, False), (0.5, False)]
)
def test_a_small_gain_is_not_worth_a_change(gain: float, confirmed: bool) -> None:
    second = SecondRun(measured((1000, 1)), measured((1000 * gain, 1)))
    assert second.confirms(Goal()) is confirmed


@pytest.mark.parametrize(
    ("present_p99", "chosen_p99", "gain", "confirmed"),
    [
        (0.02, 0.005, 0.8, True),  # alone within the limit
        (0.005, 0.005, 2.0, True),
        (0.005, 0.005, 1.0, False),
        (0.005, 0.02, 9.0, False),
        (0.02, 0.02, 9.0, False),
    ],
)
def test_with_a_limit_what_is_within_it_counts(
    present_p99: float, chosen_p99: float, gain: float, confirmed: bool
) -> None:
    second = SecondRun(measured((1000, present_p99)), measured((1000 * gain, chosen_p99)))
    assert second.confirms(Goal(p99_limit_seconds=0.01)) is confirmed


def test_against_nothing_a_gain_is_endless_and_of_nothing_it_is_none() -> None:
    lost = measured((100, 1), failed=1)
    assert result(lost, measured((100, 1))).first_gain == math.inf
    assert result(measured((100, 1)), lost).first_gain == 0.0
    assert result(lost, lost).first_gain == 0.0
    assert result(lost, None).first_gain == 0.0


def test_without_a_second_run_nothing_is_confirmed() -> None:
    present, chosen = measured((100, 1)), measured((200, 1))
    assert not result(present, chosen).confirmed
    assert result(present, chosen, SecondRun(present, chosen)).confirmed


def test_plain_data_has_the_candidates_in_their_order_and_the_second_run_if_there_was_one() -> None:
    present, chosen = measured((100, 1), (120, 1)), measured((200, 1))
    plain = plain_result(result(present, chosen, bottleneck="busy"))
    assert [each["rounds"] for each in plain["candidates"]] == [2, 1]
    assert plain["candidates"][0]["figures"][0]["requests_per_second"] == 110
    assert (plain["second_run"], plain["written"], plain["generator_bottleneck"]) == (None, False, "busy")
    assert plain["loads"] == [{"connections": 8, "duration_seconds": 2.0}]
    assert plain["present"] == plain["chosen"] == VersionSettings().model_dump(mode="json", exclude_none=True)
    second = plain_result(result(present, chosen, SecondRun(measured((100, 1)), chosen)))["second_run"]
    assert second["gain"] == pytest.approx(2)
    assert second["confirmed"]
