"""YAML of which nothing is guessed, and of which every line is known."""

import pytest

from statehouse.scripts.deployment.yaml_text import read_text


@pytest.mark.parametrize(
    "text", ["1.10", "yes", "0x1F", "2026-01-01", "1_000", ".inf", "1e3", '"1.10"', "'yes'"]
)
def test_every_scalar_is_its_text(text):
    assert read_text(f"a: {text}").data == {"a": text.strip("\"'")}


@pytest.mark.parametrize("text", ["a:", "a: ~", "a: null", "a: Null"])
def test_nothing_is_none_and_in_quotes_a_word(text):
    assert read_text(text).data == {"a": None}
    assert read_text('a: "null"').data == {"a": "null"}
    assert read_text("").data is None
    assert read_text("# only this\n").data is None


def test_keys_are_texts_too():
    assert read_text("1.10: [a, {b: c}]").data == {"1.10": ["a", {"b": "c"}]}


def test_lines_are_those_of_the_keys_and_of_the_entries():
    read = read_text("a:\n  b: 1\n  c:\n    - x\n    - y: z\n")
    assert {place: read.line_of(place) for place in read.lines} == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "y"): 5,
    }


def test_what_is_not_there_has_the_line_of_what_is_around_it():
    read = read_text("a:\n  b: 1\n")
    assert read.line_of(("a", "missing", "deeper")) == 1
    assert read.line_of(("a", "b", "deeper")) == 2
    assert read_text("").line_of(("a",)) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: 'a' is said twice"),
        ("a: &x {b: 1}\nc: *x", "line 1: an anchor is used again; write the values out"),
        ("[a]: 1", "line 1: a key must be plain text"),
        ("? {a: 1}\n: 2", "line 1: a key must be plain text"),
    ],
)
def test_what_would_have_to_be_guessed_is_a_problem(text, problem):
    assert read_text(text).problems == [problem]


def test_every_problem_is_told_and_the_first_of_two_keys_is_read():
    read = read_text("a: 1\na: 2\nb: 3\nb: 4\n")
    assert read.problems == ["line 2: 'a' is said twice", "line 4: 'b' is said twice"]
    assert read.data == {"a": "1", "b": "3"}


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t- a", "a: \x01", "--- a\n--- b"])
def test_what_is_no_yaml_says_so(text):
    [problem] = read_text(text).problems
    assert problem.startswith("not YAML: ")


def test_a_loop_of_anchors_ends():
    assert read_text("a: &x [*x]").problems == ["line 1: an anchor is used again; write the values out"]


def test_tags_make_nothing_of_a_text():
    assert read_text("a: !!python/object:os.system x").data == {"a": "x"}


@pytest.mark.parametrize("text", ["a: " + "[" * 5000, "a: " + "{b: " * 3000 + "1" + "}" * 3000])
def test_what_is_nested_without_end_is_a_problem_and_no_traceback(text):
    [problem] = read_text(text).problems
    assert "nested" in problem
