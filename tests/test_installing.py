"""What is installed and how it is said: the lock file keeps to pyproject.toml, and no text names a foreign package."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from statehouse import DISTRIBUTION
from statehouse.models import extras
from statehouse.models.extras import how_to_install, how_to_install_all

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = [
    Requirement(line)
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if not line.startswith("#")
]
OF_EXTRAS = [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
DECLARED = [Requirement(each) for each in (*PROJECT["dependencies"], *OF_EXTRAS)]
# `pip install X`, where X is called statehouse and is not a wheel's file.
FOREIGN = re.compile(
    r"(?:pip|uv|pipx)3? +(?:install|add)\b[^\n`;)&|]*?[\s'\"]statehouse(?!_serving-)(?!/)", re.IGNORECASE
)


@pytest.mark.parametrize("declared", [each for each in DECLARED if each.name != DISTRIBUTION], ids=str)
def test_what_is_declared_is_locked_in_its_range(declared: Requirement) -> None:
    found = [each for each in LOCKED if canonicalize_name(each.name) == canonicalize_name(declared.name)]
    assert found, f"`make lock` has not been run since {declared.name} was added"
    for each in found:
        [pinned] = each.specifier
        assert pinned.operator == "=="
        assert declared.specifier.contains(pinned.version), f"`make lock`: {each} is not in {declared}"


def test_the_lock_file_names_no_index_and_no_build_of_torch() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert "\ntorch==2.13.0\n" in text


def test_no_text_tells_anyone_to_install_a_package_of_others() -> None:
    command = ["git", "grep", "--untracked", "-nE", "(pip|uv|pipx)3? +(install|add)"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = found.stdout.splitlines()
    assert lines
    assert not [
        line for line in lines if FOREIGN.search(line) and not line.startswith("tests/test_installing.py:")
    ]


@pytest.mark.parametrize(
    ("text", "is_foreign"),
    [
        ("pip install statehouse", True),
        ("pip install 'statehouse[grpc]'", True),
        ("pip install --upgrade statehouse-serving", True),
        ("pip install -e '.[grpc]'", False),
        ("pip install 'statehouse_serving-0.1.0-py3-none-any.whl[grpc]'", False),
        ("pip install --no-deps statehouse_serving-0.1.0-py3-none-any.whl", False),
    ],
)
def test_what_counts_as_one(text: str, is_foreign: bool) -> None:
    assert bool(FOREIGN.search(text)) is is_foreign


def test_a_hint_is_of_what_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert how_to_install("grpc") == "pip install -e '.[grpc]'"
    torch = version("torch").partition("+")[0]  # or pip would replace it, for a newer torchvision
    assert how_to_install("vision") == f"pip install -e '.[vision]' torch=={torch}"
    monkeypatch.setattr(extras, "_PACKAGE", tmp_path / "site-packages" / "statehouse")
    assert re.fullmatch(
        r"pip install 'statehouse_serving-[\d.]+-py3-none-any\.whl\[grpc\]'", how_to_install("grpc")
    )
    assert not FOREIGN.search(how_to_install("grpc"))
    assert not FOREIGN.search(how_to_install_all())
