"""Who may import whom: models nobody of ours, never ts; handlers models; scripts both, torch only lazily."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {"models": {"handlers", "scripts", "ts"}, "handlers": {"scripts"}, "scripts": {"ts"}}
SOURCES = [(package, file) for package in FORBIDDEN for file in sorted((ROOT / package).rglob("*.py"))]


def imported_packages(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(("package", "file"), SOURCES, ids=lambda value: getattr(value, "name", value))
def test_imports_go_one_way(package: str, file: Path) -> None:
    assert not imported_packages(file) & FORBIDDEN[package]


@pytest.mark.parametrize("module", ["scripts.cli", "scripts.supervisor", "scripts.control", "scripts.serve"])
def test_the_command_and_the_supervisor_start_without_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_each_foreign_servers_words_stand_in_one_file() -> None:
    known = {"set-default": "torchserve.py", "set map": "front.py", "key_file.json": "torchserve.py"}
    for words, home in known.items():
        found = {file.name for package, file in SOURCES if package == "scripts" and words in file.read_text()}
        assert found <= {home, "runtime.py"}, words
