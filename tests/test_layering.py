"""Who may import whom: a room imports only rooms to its left; no cycle; torch and ts only where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Rooms of one group do not import each other.
ORDER = (
    {"models"},
    {"handlers"},
    {"errors", "durable", "validation", "progress", "machine", "charts"},
    {"store"},
    {"deployment"},
    {"publishing", "servers"},
    {"export", "terminal", "traffic", "access"},
    {"supervisor"},
    {"changes", "reader"},
    {"control"},
    {"load_test", "serve"},
    {"tuning"},
    {"commands"},
    {"cli"},
)
PLACE = {room: place for place, rooms in enumerate(ORDER) for room in rooms}
PACKAGES = ("models", "handlers", "scripts")
FILES = {
    f"statehouse.{str(file.relative_to(ROOT))[:-3].replace('/', '.')}".removesuffix(".__init__"): file
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
}
# TorchServe is imported by the worker alone, which runs in it.
IMPORTS_TS = "statehouse.handlers.worker"


def room_of(module: str) -> str:
    """The room: `models` and `handlers` are one each, in `scripts` each file or folder is one."""
    _, package, *rest = module.split(".")
    return rest[0] if package == "scripts" and rest else package


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (each if each in FILES else node.module for each in submodules)


IMPORTS = {module: sorted(set(imports_of(file))) for module, file in FILES.items()}
OWN = {
    module: [each for each in found if each in FILES and each != module] for module, found in IMPORTS.items()
}


def test_a_room_imports_only_rooms_to_its_left() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, found in OWN.items()
        for imported in found
        if (room := room_of(module)) != (other := room_of(imported))
        if "scripts" not in (room, other)  # the package's own __init__, which is empty
        if PLACE[other] >= PLACE[room]
    ]
    assert not wrong, "\n".join(wrong)


def test_every_room_has_its_place() -> None:
    assert {room_of(module) for module in FILES} - {"scripts"} == set(PLACE)


def units(module: str) -> str:
    """What may not be in a cycle with another: a file, or a folder, of a package, of the reader's too."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 3 if parts[:2] == ["scripts", "reader"] else 2])


@pytest.mark.parametrize("name_of", [str, units], ids=["modules", "folders"])
def test_there_is_no_cycle(name_of) -> None:
    graph: dict[str, set[str]] = {}
    for module, found in OWN.items():
        if module in ("statehouse.models",):  # its names are imported when they are used
            continue
        graph.setdefault(name_of(module), set()).update(name_of(each) for each in found)
    for name, others in graph.items():
        others.discard(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_torchserve_is_imported_by_its_worker_alone() -> None:
    found = [module for module, names in IMPORTS.items() for name in names if name.partition(".")[0] == "ts"]
    assert [module for module in found if not module.startswith(IMPORTS_TS)] == []


def test_nothing_is_imported_by_a_name_that_a_user_may_have() -> None:
    wrong = {
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        for name in names
        if name.partition(".")[0] in PACKAGES
    }
    assert not wrong


@pytest.mark.parametrize("module", ["cli", "supervisor.supervisor", "control.client", "serve"])
def test_the_command_and_the_supervisor_start_without_torch(module: str) -> None:
    code = f"import statehouse.scripts.{module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_commands_print_through_the_one_place_that_escapes() -> None:
    unescaped = ("rich.text", "rich.console", "rich")  # `rich.print` is one of the last
    found = {module for module, names in IMPORTS.items() for name in names if name in unescaped}
    assert found == {"statehouse.scripts.terminal.escaping"}
    calls = [
        (file.name, name)
        for module, file in FILES.items()
        if module.startswith("statehouse.scripts")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        if (name := ast.unparse(node.func)) in ("print", "typer.echo", "typer.secho", "sys.stdout.write")
    ]
    assert calls == [("console.py", "print")]  # JSON, escaped


def test_nothing_of_ours_is_known_by_a_bare_name() -> None:
    names = "{'models', 'handlers', 'scripts'}"
    code = f"import statehouse.scripts.cli, statehouse.handlers.base, sys; sys.exit(bool({names} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent).returncode == 0


def test_each_foreign_server_s_words_stand_in_one_file() -> None:
    known = {"set-default": "torchserve.py", "set map": "haproxy.py", "key_file.json": "torchserve.py"}
    scripts = [file for module, file in FILES.items() if module.startswith("statehouse.scripts")]
    for words, home in known.items():
        found = {file.name for file in scripts if words in file.read_text()}
        assert found <= {home, "private_folder.py"}, words


def test_no_test_imports_a_benchmark() -> None:
    """Benchmarks may lean on tests; a test that leaned on them could not be run without."""
    found = {
        str(file.relative_to(ROOT)): each
        for file in sorted((ROOT / "tests").rglob("*.py"))
        for each in imports_of(file)
        if each.partition(".")[0] == "benchmarks"
    }
    assert found == {}
