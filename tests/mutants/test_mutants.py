"""The mutants fit the sources and README as they are, so that `make mutants` runs every one of them."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
from tests.mutants.__main__ import node_of
from tests.mutants.patch import AnchorError, Mutant, read_mutants
from tests.promises import ROOT, promises

MUTANTS = read_mutants()


def test_every_promise_of_readme_has_a_mutant() -> None:
    assert promises().keys() == {mutant.promise for mutant in MUTANTS}
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_fits_its_file_and_changes_it(tmp_path: Path, mutant: Mutant) -> None:
    assert mutant.old != mutant.new
    for source in ROOT.glob(mutant.file):
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    mutant.apply(tmp_path)
    changed = [copy for copy in tmp_path.rglob("*.*") if differs(copy, ROOT / copy.relative_to(tmp_path))]
    assert changed
    for copy in changed:
        if copy.suffix == ".py":
            ast.parse(copy.read_text())


def differs(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() != other.read_bytes()


SOURCE = """\
class Shop:
    def price(self):
        return 1

    def tax(self):
        return 1

def tax():
    return 1
"""


def mutant_of(**what: str) -> Mutant:
    return Mutant(
        **{"name": "m", "promise": "p", "file": "a.py", "old": "return 1", "new": "return 2"} | what
    )


def test_only_its_function_is_changed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    mutant_of(within="Shop.tax").apply(tmp_path)
    changed = SOURCE.replace("    def tax(self):\n        return 1", "    def tax(self):\n        return 2")
    assert (tmp_path / "a.py").read_text() == changed


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({}, "has 'return 1' 3 times"),
        ({"within": "Shop"}, "has 'return 1' 2 times"),
        ({"within": "price"}, "has 'price' 0 times"),
        ({"within": "tax", "old": "return 3"}, "tax of a.py has 'return 3' 0 times"),
        ({"file": "b.py"}, "there is no b.py"),
        ({"file": "*.py", "old": "return 3"}, "no *.py has 'return 3'"),
    ],
)
def test_one_that_does_not_fit_any_more_says_so(tmp_path: Path, what: dict[str, str], told: str) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    with pytest.raises(AnchorError) as caught:
        mutant_of(**what).apply(tmp_path)
    assert told in str(caught.value)
    assert (tmp_path / "a.py").read_text() == SOURCE


def test_a_section_ends_where_the_next_begins(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text("one\n    mode http\n# why\n\n    mode tcp\ntwo\n    mode http\n")
    mutant_of(file="a.cfg", within="one", old="mode http", new="mode tcp").apply(tmp_path)
    assert file.read_text() == "one\n    mode tcp\n# why\n\n    mode tcp\ntwo\n    mode http\n"


def test_a_case_is_that_of_the_promise_s_test() -> None:
    [mutant] = [each for each in MUTANTS if each.name == "http-1.0-in-chunks"]
    assert node_of(mutant) == f"{promises()[mutant.promise]}[TE in HTTP/1.0]"
