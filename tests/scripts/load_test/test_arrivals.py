"""When requests are due: exactly so many, in order, within the time."""

import itertools
import random
from pathlib import Path

import pytest

from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.load_test import OpenLoop, Poisson, Ramp
from statehouse.scripts.load_test.arrivals import Share
from statehouse.scripts.load_test.schedule import read_schedule


def test_poisson_arrivals_are_exactly_as_many_and_at_random() -> None:
    load = OpenLoop(500, 20, pattern=Poisson(seed=3))
    offsets = load.offsets_seconds()
    assert len(offsets) == load.request_count == 10_000
    assert list(offsets) == sorted(offsets)
    assert offsets[0] >= 0
    assert offsets[-1] < 20
    gaps = [later - earlier for earlier, later in itertools.pairwise(offsets)]
    # Of exponential gaps 1 - 1/e are shorter than their mean.
    assert sum(gap < 1 / 500 for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.02)
    assert OpenLoop(500, 20, pattern=Poisson(seed=3)).offsets_seconds() == offsets
    assert OpenLoop(500, 20, pattern=Poisson(seed=4)).offsets_seconds() != offsets


@pytest.mark.parametrize(("start", "end"), [(100, 300), (300, 100), (100, 100), (0.5, 1000)])
def test_a_ramp_goes_from_one_rate_to_the_other(start: float, end: float) -> None:
    load = OpenLoop(start, 10, pattern=Ramp(end))
    offsets = load.offsets_seconds()
    assert len(offsets) == load.request_count == round((start + end) / 2 * 10)
    assert offsets[0] == 0
    assert list(offsets) == sorted(offsets)
    assert offsets[-1] < 10
    first_half = sum(offset < 5 for offset in offsets)
    assert first_half == pytest.approx((start + (start + end) / 2) / 2 * 5, abs=1.01)


def test_recorded_times_are_repeated_from_the_first_on(tmp_path: Path) -> None:
    times = [1700000000.5, 1700000000.0, 1700000002.25]
    file = tmp_path / "times.txt"
    file.write_text("\n".join(map(str, times)) + "\n\n")
    load = read_schedule(file)
    assert list(load.offsets_seconds()) == [0.0, 0.5, 2.25]
    assert load.request_count == 3
    assert load.rate_per_second * load.duration_seconds == pytest.approx(3)
    assert load.duration_seconds > 2.25
    assert load.problems() == []


def test_one_recorded_time_is_a_schedule_too(tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text("name,due_seconds\na,7\n")
    assert list(read_schedule(file).offsets_seconds()) == [0.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\nsoon\nnan\n", "line 2: 'soon'; line 3: 'nan'"),
        ("", "has no times"),
        ("due_seconds\n", "has no times"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_lines(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(text)
    with pytest.raises(ArgumentError, match=words):
        read_schedule(file)


def test_a_schedule_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="No such file"):
        read_schedule(tmp_path / "none.csv")


def test_every_connection_belongs_to_one_process() -> None:
    rng = random.Random(0)
    for _ in range(50):
        connections, count = rng.randrange(1, 100), rng.randrange(1, 9)
        shares = [Share(index, count).of_connections(connections) for index in range(count)]
        assert sum(shares) == connections
        assert max(shares) - min(shares) <= 1
