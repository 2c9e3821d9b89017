"""`statehouse architecture`: what is kept, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from statehouse.scripts.cli import app
from statehouse.scripts.errors import ArgumentError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of a deployment with a module beside it which would not survive being run."""
    monkeypatch.setenv("STATEHOUSE_DEPLOYMENT", str(tmp_path / "live.yaml"))
    (tmp_path / "kept_by_command.py").write_text("raise SystemExit('this was run')")
    return tmp_path


def run(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["architecture", *arguments, "--json"])
    if done.exception is not None:
        raise done.exception
    return json.loads(done.stdout)


def test_a_module_is_kept_beside_its_deployment_and_listed(folder: Path) -> None:
    assert run("list") == []
    told = run("add", "kept_by_command")
    place = folder / "live.architectures" / told["digest"]
    assert told == {
        "module": "kept_by_command",
        "digest": told["digest"],
        "files": ["kept_by_command.py"],
        "place": str(place),
        "added": True,
    }
    assert run("add", "kept_by_command", "--digest", told["digest"])["added"] is False
    [listed] = run("list")
    assert (listed["modules"], listed["digest"]) == (["kept_by_command"], told["digest"])
    (folder / "kept_by_command.py").unlink()
    assert (
        run("add", "kept_by_command", "--from", str(place))["digest"] == told["digest"]
    )  # of another machine


def test_another_code_than_the_one_that_is_wanted_is_not_added(folder: Path) -> None:
    with pytest.raises(ArgumentError, match=rf"has digest [0-9a-f]{{64}}, not {'0' * 64}"):
        run("add", "kept_by_command", "--digest", "0" * 64)
    assert not (folder / "live.architectures").exists()


def test_a_folder_that_is_named_is_where_it_must_lie(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(ArgumentError, match="There is no module 'json' in"):
        run("add", "json", "--from", str(folder / "empty"))


def test_what_no_version_names_is_removed_where_that_is_meant(folder: Path) -> None:
    place = Path(run("add", "kept_by_command")["place"])
    assert run("prune", "--yes") == {"removed": []}  # it is new
    os.utime(place, (0, 0))
    with pytest.raises(ArgumentError, match="1 copy is named by no version"):
        run("prune")
    assert place.is_dir()
    assert run("prune", "--yes") == {"removed": [place.name]}
    assert list(place.parent.iterdir()) == []
