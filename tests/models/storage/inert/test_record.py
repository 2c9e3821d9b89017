"""Records: their attributes, and names that are safe to print."""

from __future__ import annotations

import pytest

from statehouse.models.storage.inert.record import MAX_NAME, Record, printable


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"a": 1, 2: 3}, {"a": 1}),
        ((None, {"b": 1}), {"b": 1}),
        (({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
        (None, {}),
        ("text", {}),
        (({"a": 1}, "text"), {}),
        (({"a": 1},), {}),
    ],
)
def test_attributes_are_those_of_the_dict_and_of_slots(state: object, expected: object) -> None:
    assert Record("some.Class", state=state).attributes() == expected


def test_a_record_that_holds_itself_is_shown_by_its_name() -> None:
    record = Record("some.Class")
    record.items.append(record)
    assert repr(record) == "Record('some.Class')"


def test_names_are_bounded_and_escaped() -> None:
    assert printable("a.b\n\x1b[31m") == "a.b\\n\\x1b[31m"
    assert printable("argparse.Namespace") == "argparse.Namespace"
    assert len(printable("x" * 10_000)) == len(printable("\x00" * 10_000)) == MAX_NAME
