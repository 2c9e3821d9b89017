import numpy as np
import pytest

from statehouse.handlers.bodies.numbers import leaf_array, number_array, shorten
from statehouse.handlers.errors import InvalidInputError, WrongShapeError

F4, I8 = np.dtype("f4"), np.dtype("i8")


def test_nested_lists_become_an_array():
    array = number_array([[1, 2.5], [3, -4]], (2, 2), F4)
    assert array.dtype == F4
    np.testing.assert_array_equal(array, [[1, 2.5], [3, -4]])


def test_a_scalar_is_a_shape_too():
    assert number_array(3, (), F4) == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2, 3], r"The shape is \[3\]; expected \[2, 2\]"),
        ([[1, 2], [3]], r"a list of 1 at \[1\]; expected a list of 2"),
        ([[1, 2], 3], r"a number at \[1\]; expected a list of 2"),
        ({"a": 1}, r"The shape is an object; expected \[2, 2\]"),
        ([], r"The shape is \[0\]"),
        (None, "The shape is null"),
    ],
)
def test_another_shape_says_what_was_found_and_where(value, message):
    with pytest.raises(WrongShapeError, match=message):
        number_array(value, (2, 2), F4)


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        ("2", r"'2' at \[1\]\[0\] is text; expected a number"),
        (True, r"True at \[1\]\[0\] is true/false"),
        (None, r"None at \[1\]\[0\] is null"),
        ([1], r"\[1\] at \[1\]\[0\] is a list"),
        (1e39, r"at \[1\]\[0\] is inf as float32"),
    ],
)
def test_what_is_no_float32_is_refused_with_its_place(leaf, message):
    with pytest.raises(InvalidInputError, match=message):
        number_array([[1, 2], [leaf, 4]], (2, 2), F4)


@pytest.mark.parametrize("leaf", [1.0, 2**63, True])
def test_whole_numbers_stay_whole_and_in_range(leaf):
    with pytest.raises(InvalidInputError):
        number_array([leaf], (1,), I8)
    assert number_array([2**63 - 1], (1,), I8)[0] == 2**63 - 1


def test_every_other_integer_type_has_its_own_range():
    with pytest.raises(InvalidInputError, match="uint8 holds 0 to 255"):
        leaf_array([256], (1,), np.dtype("u1"))


def test_one_long_text_among_many_costs_no_memory():
    # NumPy would give each of the 100,000 elements the room of the longest.
    with pytest.raises(InvalidInputError, match="is text"):
        number_array(["x" * 1_000_000] + [1] * 99_999, (100_000,), F4)


def test_the_shape_in_a_message_is_short_however_deep():
    deep = [1]
    for _ in range(500):
        deep = [deep]
    with pytest.raises(WrongShapeError) as caught:
        number_array(deep, (3,), np.dtype("f4"))
    assert len(str(caught.value)) < 100


def test_values_in_messages_are_short_however_large_or_deep():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    assert len(shorten(deep)) < 100
    assert len(shorten("x" * 10**6)) < 100
    assert len(shorten({str(i): "y" * 1000 for i in range(1000)})) < 700
