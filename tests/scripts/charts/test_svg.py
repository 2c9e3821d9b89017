"""Axes with round ticks, and shapes as XML."""

import itertools
import xml.etree.ElementTree as ET

import pytest

from statehouse.scripts.charts.svg import Axis, circle, element, line, path, rect, round_up, text, title


def test_values_lie_between_the_ends_of_the_axis() -> None:
    across = Axis(0, 10, 100, 200)
    assert [across.at(value) for value in (-5, 0, 2.5, 10, 99)] == [100, 100, 125, 200, 200]
    upwards = Axis(0, 10, 200, 100)
    assert upwards.at(2.5) == 175
    assert Axis(0, 3, 0, 1).at(1) == 0.3


def test_on_a_logarithmic_axis_each_power_takes_as_much_room() -> None:
    axis = Axis(1, 1000, 0, 300, is_log=True)
    assert [axis.at(value) for value in (0, 1, 10, 100, 1000, 5000)] == [0, 0, 100, 200, 300, 300]


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (0, 9, 6, [0, 2, 4, 6, 8]),
        (3, 17, 6, [5, 10, 15]),
        (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
        (0, 0.003, 3, [0, 0.001, 0.002, 0.003]),
    ],
)
def test_ticks_are_round_values_inside(low: float, high: float, most: int, expected: list[float]) -> None:
    assert Axis(low, high, 0, 1).ticks(most) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1, 10, [1, 2, 5, 10]),
        (0.9, 101, [1, 3, 10, 30, 100]),
        (1, 10_000, [1, 10, 100, 1000, 10_000]),
        (0.02, 0.06, [0.02, 0.05]),
        (255, 472, [300, 350, 400, 450]),
        (0.9, 1.3, [0.9, 1.0, 1.1, 1.2, 1.3]),
    ],
)
def test_logarithmic_ticks_are_as_many_as_there_is_room_for(
    low: float, high: float, expected: list[float]
) -> None:
    assert Axis(low, high, 0, 1, is_log=True).ticks(6) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), (1.1, 2), (2.0000000001, 2), (3, 5), (7, 10), (0.03, 0.05), (800, 1000), (0, 1)],
)
def test_the_next_round_value(value: float, expected: float) -> None:
    assert round_up(value) == pytest.approx(expected)
    assert round_up(350, (1, 4, 8)) == 400


def test_attributes_are_written_as_svg_calls_them_and_escaped() -> None:
    assert element("g", "<b/>", class_="a", stroke_width=2.0, title='"&<') == (
        '<g class="a" stroke-width="2" title="&quot;&amp;&lt;"><b/></g>'
    )
    assert element("g") == "<g/>"


def test_numbers_have_one_digit_at_most() -> None:
    assert line(1.0, 2.04, 3.06, 4) == '<line x1="1" y1="2" x2="3.1" y2="4"/>'


def test_every_shape_is_xml_whatever_the_words() -> None:
    words = "<script>&\"'"
    shapes = [text(1, 2, words), rect(0, 0, 5, -1, words), circle(1, 2, 3, words)]
    for shape in shapes:
        assert "".join(ET.fromstring(shape).itertext()) == words
    assert ET.fromstring(shapes[1]).get("height") == "0"
    assert circle(1, 2, 3) == '<circle cx="1" cy="2" r="3"/>'
    assert title("") == ""


def test_a_path_is_interrupted_where_there_is_nothing() -> None:
    points = [(0, 0), (1, 1.5), None, None, (2, 2), (3, 3)]
    assert path(points, class_="x") == '<path d="M0 0L1 1.5M2 2L3 3" fill="none" class="x"/>'
    assert 'fill="red"' in path([], fill="red")


def test_ticks_of_any_axis_lie_on_it() -> None:
    for low, high, is_log in itertools.product((0.001, 0.7, 3), (3.1, 47, 12_345), (True, False)):
        ticks = Axis(low, high, 0, 1, is_log=is_log).ticks(6)
        assert ticks
        assert all(low * 0.998 <= tick <= high * 1.002 for tick in ticks)
