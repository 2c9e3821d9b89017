"""README's table of promises names tests that there are."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| .+ \| `(tests/[\w/]+\.py)::(\w+)` \|$", re.MULTILINE)


def test_every_promise_has_its_test() -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Promises\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    named = ROW.findall(section)
    assert len(named) == len(rows) > 10, "a row is no `| promise | `tests/FILE.py::TEST` |`"
    for file, test in named:
        found = {
            each.name
            for each in ast.walk(ast.parse((ROOT / file).read_text()))
            if isinstance(each, ast.FunctionDef)
        }
        assert test in found, f"{file} has no {test}"
