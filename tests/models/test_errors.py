from __future__ import annotations

from statehouse.models import errors
from statehouse.models.errors import CheckpointContentError, CheckpointError, ProblemsError, StatehouseError


def _tree_lines() -> list[str]:
    return [line.strip(" │├└─") for line in errors.__doc__.splitlines() if "Error" in line]


def test_the_tree_in_the_docstring_has_every_error():
    drawn = {line.split()[0] for line in _tree_lines()}
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, StatehouseError)
    }
    assert drawn == defined


def test_problems_are_a_header_and_one_indented_line_each():
    error = CheckpointContentError("x.pt: is wrong:", ["first", "second"])
    assert str(error) == "x.pt: is wrong:\n  first\n  second"
    assert error.problems == ["first", "second"]
    assert isinstance(error, ProblemsError)
    assert isinstance(error, CheckpointError)
