"""A recorded schedule: a column of times, or one on each line."""

import pytest

from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.load_test.schedule import read_schedule


@pytest.fixture
def write(tmp_path):
    def write(text):
        file = tmp_path / "times"
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.mark.parametrize(
    "text",
    [
        "10\n10.5\n12\n",
        "12\n\n 10 \n1.05e1",
        "10,a,b\n10.5\n12,c\n",
        "status,due_seconds,x\n200,10,\n500,10.5,\n,12,\n",
        "due_seconds\n12\n10\n10.5\n",
    ],
)
def test_times_count_from_the_first_in_any_order(write, text):
    loop = read_schedule(write(text))
    assert list(loop.offsets_seconds()) == [0, 0.5, 2]
    assert loop.request_count == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", " has no times. Expected a number of seconds on each line, or a CSV with a column due_seconds."),
        ("\n \n", " has no times. Expected"),
        ("due_seconds\n", " has no times. Expected"),
        ("1\nx\nnan\n", " has no times: line 2: 'x'; line 3: 'nan'. Expected"),
        ("a,due_seconds\n1,2\n1\n", " has no times: line 3: ''. Expected"),
        ("\n".join("abcdefg"), "line 5: 'e' and 2 more. Expected"),
        ("y" * 200, f"line 1: '{'y' * 40}'. Expected"),
        ("z" * 200_000, "cannot be read: it is no list of times, field larger than field limit (131072)."),
    ],
)
def test_what_is_no_time_is_told_by_its_line(write, text, told):
    with pytest.raises(ArgumentError) as caught:
        read_schedule(write(text))
    assert told in str(caught.value)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ArgumentError, match="cannot be read: No such file or directory"):
        read_schedule(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ArgumentError, match="cannot be read: it is not text"):
        read_schedule(tmp_path / "binary")
