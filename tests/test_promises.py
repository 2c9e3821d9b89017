"""README's table of promises names tests that there are."""

import ast

from tests.promises import ROOT, promises, section


def test_every_promise_has_its_test() -> None:
    rows = [line for line in section().splitlines() if line.startswith("| ")][1:]
    assert len(promises()) == len(rows) > 10, (
        "a row is no `| promise | `tests/FILE.py::TEST` |`, or is there twice"
    )
    for named in promises().values():
        file, _, test = named.partition("::")
        found = {
            each.name
            for each in ast.walk(ast.parse((ROOT / file).read_text()))
            if isinstance(each, ast.FunctionDef)
        }
        assert test in found, f"{file} has no {test}"
