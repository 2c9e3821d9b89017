"""Every source has its test: where it is found by name, else by a line of covered_elsewhere.txt."""

from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "handlers", "scripts")
LIST = Path("tests/covered_elsewhere.txt")

Lines = dict[str, str]


def read_list() -> tuple[Lines, Lines]:
    """The two parts of the list: tests by their sources, and what tests of no one source are about."""
    parts: tuple[Lines, Lines] = ({}, {})
    for line in (ROOT / LIST).read_text().splitlines():
        if line and not line.startswith("#"):
            named, _, told = line.partition(" ")
            parts[named.startswith("tests/")][named] = told.strip()
    return parts


def files(*folders: str, pattern: str = "*.py") -> list[str]:
    found = [file for folder in folders for file in (ROOT / folder).rglob(pattern)]
    return sorted(str(file.relative_to(ROOT)) for file in found if file.name != "__init__.py")


def is_called_like(test: str, source: str) -> bool:
    """Whether ``tests/a/test_b.py`` or ``tests/a/test_b_c.py`` is a test of ``a/b.py``."""
    stem, beside = Path(test).stem, Path("tests", source).parent
    wanted = f"test_{Path(source).stem}"
    return Path(test).parent == beside and (stem == wanted or stem.startswith(f"{wanted}_"))


def first_line_for(file: str, lines: Lines) -> str | None:
    return next((named for named in lines if fnmatchcase(file, named) and _as_deep(file, named)), None)


def _as_deep(file: str, named: str) -> bool:
    return file.count("/") == named.count("/")  # a pattern means one folder


def problems(sources: list[str], tests: list[str], covered: Lines, about: Lines) -> list[str]:
    """Everything against the rule."""
    alone = [source for source in sources if not any(is_called_like(test, source) for test in tests)]
    loose = [test for test in tests if not any(is_called_like(test, source) for source in sources)]
    used = {
        first_line_for(file, lines) for lines, found in ((covered, alone), (about, loose)) for file in found
    }
    return [
        *(f"{each} has no test" for each in alone if first_line_for(each, covered) is None),
        *(f"{each} is called like no source" for each in loose if first_line_for(each, about) is None),
        *(f"{LIST}: {each} is not needed" for each in (*covered, *about) if each not in used),
        *(f"{LIST}: there is no {each}" for each in covered.values() if not (ROOT / each).is_file()),
        *(f"{LIST}: what is {each} about?" for each in about if not about[each]),
    ]


def test_every_source_has_its_test_and_every_test_its_source() -> None:
    tests = files(*(f"tests/{package}" for package in PACKAGES), pattern="test_*.py")
    found = problems(files(*PACKAGES), tests, *read_list())
    assert not found, "\n".join(["", *found])


def test_all_that_is_against_the_rule_is_found() -> None:
    sources = ["models/a.py", "models/b.py", "models/deep/c.py", "models/deep/d.py"]
    tests = ["tests/models/test_a_aspect.py", "tests/models/test_ab.py", "tests/models/deep/test_a.py"]
    covered = {"models/deep/*.py": "tests/absent.py", "models/a.py": str(LIST), "models/*c.py": str(LIST)}
    about = {"tests/models/deep/test_*.py": "", "tests/models/test_gone.py": "nothing"}
    assert problems(sources, tests, covered, about) == [
        "models/b.py has no test",
        "tests/models/test_ab.py is called like no source",
        f"{LIST}: models/a.py is not needed",
        f"{LIST}: models/*c.py is not needed",
        f"{LIST}: tests/models/test_gone.py is not needed",
        f"{LIST}: there is no tests/absent.py",
        f"{LIST}: what is tests/models/deep/test_*.py about?",
    ]
