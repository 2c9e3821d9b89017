"""The wheel and the sdist of this checkout, built once, and clean environments to install them in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path
from zipfile import Path as ZipPath

import pytest
from tests.package.environment import CleanEnvironment

ROOT = Path(__file__).resolve().parents[2]
PROJECT = Path(__file__).with_name("project")
BUILT_FROM = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "NOTICE", "config.properties")
ROOMS = ("src", "models", "handlers", "scripts")
LONGEST_SECONDS = 300


def build_wheel(source: Path, folder: Path) -> Path:
    """`pip wheel .`, with the setuptools that is installed here."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run(
        [*command, "--wheel-dir", folder, source], capture_output=True, text=True, timeout=LONGEST_SECONDS
    )
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is built from: building leaves folders behind, and takes what lies in them."""
    folder = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        shutil.copy2(ROOT / name, folder)
    for name in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    (folder / "tests").mkdir()
    shutil.copy2(ROOT / "tests" / "test_promises.py", folder / "tests")
    return folder


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def requirements(wheel: Path) -> list[str]:
    """What the wheel itself declares, its extras apart."""
    [info] = [each for each in ZipPath(wheel).iterdir() if each.name.endswith(".dist-info")]
    return [each for each in PathDistribution(info).requires or () if "extra ==" not in each]  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def environment(
    wheel: Path, requirements: list[str], tmp_path_factory: pytest.TempPathFactory
) -> CleanEnvironment:
    """The wheel with what it declares, and the extra `demo`."""
    made = CleanEnvironment(tmp_path_factory.mktemp("environment") / "env")
    made.link([*requirements, "scikit-learn"])
    made.install(wheel)
    made.watch_imports(made.folder / "imported.txt")
    return made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's own project, with packages called `models`, `scripts` and `handlers`."""
    shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "project"
