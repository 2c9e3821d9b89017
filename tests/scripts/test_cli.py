"""The command line itself, without a server: help, usage, errors and JSON."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from tests.scripts.conftest import SaveNet
from typer.main import get_command

from statehouse.scripts.cli import app

COMMAND = Path(sysconfig.get_path("scripts")) / "statehouse"
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


def run(*arguments: str | Path, folder: Path, width: int = 80) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/bin/env", f"COLUMNS={width}", COMMAND, *arguments], cwd=folder, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_80_columns_and_cuts_nothing_off(name: str | None, tmp_path: Path) -> None:
    done = run(*([name] if name else []), "--help", folder=tmp_path)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "..." not in done.stdout.replace("[ARGS]...", "")
    assert "bool" not in done.stdout
    assert name is None or "Example: statehouse" in done.stdout or name == "token"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json(name: str) -> None:
    command = COMMANDS[name]
    for each in getattr(command, "commands", {name: command}).values():  # those of a group, or itself
        assert "--json" in [option for parameter in each.params for option in parameter.opts], each.name


def test_errors_are_indented_json_too_with_every_problem(tmp_path: Path) -> None:
    done = run("publish", "nothing.pt", "--name", "net", "--version", "1.0", "--json", folder=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"] == "CheckpointNotFoundError"
    assert done.stdout.startswith('{\n  "error": ')
    (tmp_path / "deployment.yaml").write_text("limits: {max_request_bytes: 0}\nlisten: {front: x}\n")
    refused = json.loads(run("inspect", "nothing.pt", "--json", folder=tmp_path).stdout)
    assert sorted(problem.partition(":")[0] for problem in refused["problems"]) == [
        "line 1, limits.max_request_bytes",
        "line 2, listen.front",
    ]


def test_nothing_serves(tmp_path: Path) -> None:
    done = run("status", folder=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("error: Nothing serves deployment.yaml: start it with `statehouse serve")
    assert run("token", "--json", folder=tmp_path).returncode == 3


def test_what_the_encoding_of_the_terminal_lacks_is_escaped(tmp_path: Path, save_net: SaveNet) -> None:
    narrow = ["/usr/bin/env", "PYTHONIOENCODING=ascii", COMMAND]
    done = subprocess.run([*narrow, "inspect", save_net()], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "net.pt: it would load" in done.stdout
