"""Renaming rules, as the process that can be ended applies them."""

from __future__ import annotations

import io
import json
import runpy
import sys

from statehouse.models.foreign import rule_matching
from statehouse.models.foreign.rule_matching import MAX_NAME_CHARACTERS, match


def test_each_rule_sees_what_the_ones_before_made():
    found = match(["a.x", "b.x"], [(r"a\.(.*)", r"b.\1"), (r"b\.(.*)", r"c.\1")])
    assert found == {"names": ["c.x", "c.x"], "matched": [1, 2], "problems": []}


def test_the_whole_name_must_match():
    assert match(["aa"], [("a", "b")]) == {"names": ["aa"], "matched": [0], "problems": []}


def test_what_a_rule_empties_is_left_out_for_those_after_it():
    assert match(["a", "b"], [("a", ""), (".*", "c")]) == {
        "names": [None, "c"],
        "matched": [1, 1],
        "problems": [],
    }


def test_a_rule_that_cannot_be_applied_leaves_the_names_to_the_others():
    found = match(["a"], [("(", "x"), ("a", r"\2"), ("a", "b")])
    assert (found["names"], found["matched"]) == (["b"], [-1, -1, 1])
    assert [problem.partition(":")[0] for problem in found["problems"]] == ["--rename (=x", r"--rename a=\2"]


def test_a_name_has_a_longest_length():
    half = "a" * (MAX_NAME_CHARACTERS // 2)
    assert match([half], [("(.*)", r"\1\1")])["problems"] == []
    assert match([half], [("(.*)", r"\1\1b")]) == {
        "names": [half],
        "matched": [-1],
        "problems": [r"--rename (.*)=\1\1b: makes a name of 1,025 characters; expected up to 1,024"],
    }


def test_as_a_program_it_speaks_json(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"names": ["a"], "rules": [["a", "b"]]})))
    runpy.run_path(rule_matching.__file__, run_name="__main__")
    assert json.loads(capsys.readouterr().out) == {"names": ["b"], "matched": [1], "problems": []}
