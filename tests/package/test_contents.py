"""What is in the wheel and in the sdist, and what their metadata says."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import tarfile
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from tests.package.conftest import LONGEST_SECONDS, ROOMS, ROOT, build_wheel

NOT_CODE = {path.suffix for room in ROOMS for path in (ROOT / room).rglob("*.*") if path.is_file()} - {
    ".py", ".pyc"
}  # fmt: skip


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    code = f"from setuptools import build_meta; print(build_meta.build_sdist({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )
    assert done.returncode == 0, done.stderr
    [made] = folder.glob("*.tar.gz")
    return made


def contents(wheel: Path) -> dict[str, int]:
    with ZipFile(wheel) as archive:
        return {each.filename: each.CRC for each in archive.infolist() if not each.is_dir()}


def of_package() -> set[str]:
    """Every file of the three rooms, as it is called in the wheel."""
    files = [file for room in ("models", "handlers", "scripts") for file in (ROOT / room).rglob("*")]
    found = {f"statehouse/{file.relative_to(ROOT)}" for file in files if file.is_file()}
    own = {f"statehouse/{file.name}" for file in (ROOT / "src" / "statehouse").iterdir() if file.is_file()}
    return {name for name in found | own if "__pycache__" not in name}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    names = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert names == of_package()
    for needed in (
        "config.properties",
        "py.typed",
        "scripts/servers/haproxy.cfg",
        "scripts/servers/haproxy.lua",
    ):
        assert f"statehouse/{needed}" in names
    with ZipFile(wheel) as archive:
        assert not [each.filename for each in archive.infolist() if stat.S_ISLNK(each.external_attr >> 16)]


def test_the_metadata_says_whose_it_is_and_how_it_may_be_used(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith("METADATA")]
        said = Parser().parsestr(archive.read(name).decode())
    assert said["Name"] == "statehouse-serving"
    assert said["License-Expression"] == "Apache-2.0"
    assert said.get_all("License-File") == ["LICENSE", "NOTICE"]
    assert said["Author"] == "The Statehouse authors"
    assert "Typing :: Typed" in (said.get_all("Classifier") or ())


def test_torch_is_a_range_that_holds_the_release_that_is_locked(requirements: list[str]) -> None:
    [torch] = [each for each in requirements if re.match(r"torch\b(?!\w)", each) and "torchserve" not in each]
    assert ">=" in torch
    assert "<" in torch


def test_the_sdist_holds_plain_files_and_no_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert all(each.isfile() or each.isdir() for each in members)
    assert not [each.name for each in members if "/tests" in each.name]


def test_a_wheel_of_the_sdist_is_the_wheel_of_the_checkout(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    assert contents(build_wheel(sdist, tmp_path)) == contents(wheel)
