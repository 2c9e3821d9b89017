from __future__ import annotations

from statehouse.scripts.terminal.escaping import Text
from statehouse.scripts.terminal.tables import Column, table_lines

COLUMNS = (
    Column("NAME"),
    Column("COUNT", numeric=True),
    Column("NOTE", dispensable=1),
    Column("X", dispensable=2),
)
ROWS = [("digits", "1,234", "a note", "yes"), (Text("breast_cancer", style="green"), "5", "", "")]


def lines(width: int | None, **options: bool) -> list[str]:
    return [line.plain for line in table_lines(COLUMNS, ROWS, width=width, **options)]


def test_it_is_as_wide_as_what_is_in_it_and_ends_in_no_spaces():
    assert lines(None) == [
        "NAME           COUNT  NOTE    X",
        "digits         1,234  a note  yes",
        "breast_cancer      5",
    ]
    assert lines(None, headed=False)[0] == "digits         1,234  a note  yes"


def test_narrow_terminals_get_fewer_columns_then_shorter_words_and_whole_numbers():
    assert lines(33) == lines(None)
    assert lines(32)[0] == "NAME           COUNT  NOTE"
    assert lines(27)[0] == "NAME           COUNT"
    assert lines(17) == ["NAME        COUNT", "digits      1,234", "breast_ca…      5"]
    assert lines(3)[2] == "breast_…      5"


def test_nothing_is_no_line():
    assert table_lines(COLUMNS, [], width=80, headed=False) == []
    assert len(table_lines(COLUMNS, [], width=80)) == 1
