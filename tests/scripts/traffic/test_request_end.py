"""How one request ended, from one line of the front's."""

from dataclasses import replace

import pytest

from statehouse.scripts.traffic.request_end import RequestEnd, read_request_end

LINE = "422 3 -- default wrong-shape my-id trace shop digits 1.0 POST /predictions/digits"
END = RequestEnd(
    *(422, 3, "--", "default", "wrong-shape", "my-id", "trace", "shop", "digits", "1.0", "POST"),
    "/predictions/digits",
)


def test_a_line_has_twelve_fields_and_a_dash_is_nothing():
    assert read_request_end(LINE) == END
    absent = read_request_end("200 3 -- default - - - - digits 1.0 POST -")
    assert absent == RequestEnd(200, 3, "--", "default", "", "", "", "", "digits", "1.0", "POST", "")


def test_a_path_may_have_spaces():
    assert read_request_end(f"{LINE} with spaces").path == "/predictions/digits with spaces"


@pytest.mark.parametrize(
    "line", ["", "x", LINE.replace("422", "abc"), LINE.replace(" 3 ", " - "), LINE.rpartition(" ")[0]]
)
def test_what_is_no_line_of_ours_is_none(line):
    assert read_request_end(line) is None


@pytest.mark.parametrize(
    ("status", "ended", "gone", "problem", "kind"),
    [
        (200, "--", False, False, "wrong-shape"),
        (399, "--", False, False, "wrong-shape"),
        (422, "--", False, True, "wrong-shape"),
        (503, "SC", False, True, "wrong-shape"),
        (-1, "CD", True, True, "client-gone"),
        (200, "CD", True, True, "client-gone"),
        (0, "--", False, True, "wrong-shape"),
    ],
)
def test_what_counts_as_a_problem(status, ended, gone, problem, kind):
    end = replace(END, status=status, ended=ended)
    assert (end.client_gone, end.is_problem, end.kind) == (gone, problem, kind)


def test_a_problem_without_a_type_is_another():
    assert replace(END, problem="").kind == "other"


def test_ours_are_not_counted():
    assert END.counted
    assert not replace(END, how="uncounted").counted
