"""Options that several commands have."""

import pytest
from typer import BadParameter

from statehouse.scripts.commands.options import seconds_of, share_of


def test_durations_are_seconds_and_defaults_are_so_already() -> None:
    assert (seconds_of("2m"), seconds_of(30.0)) == (120, 30)
    with pytest.raises(BadParameter, match="'two' is no duration"):
        seconds_of("two")


@pytest.mark.parametrize(
    ("text", "share"),
    [("5%", 0.05), ("0.05", 0.05), ("0.5%", 0.005), ("100%", 1), ("0", 0), (" 1 ", 1), (0.01, 0.01)],
)
def test_shares_are_read_as_people_write_them(text: str | float, share: float) -> None:
    assert share_of(text) == share


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "five", "", "5 %", ".5", "nan", "1%%"])
def test_other_shares_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(BadParameter, match=r"is not a share; expected one like 5% or 0\.05"):
        share_of(text)
