"""What a shell completes, asked as a shell asks it: by running the command with the words typed so far."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = Path(sysconfig.get_path("scripts")) / "statehouse"
DEPLOYMENT = """
models:
  digits: {default: "1.0", versions: {"1.0": {}, "1.10": {}}}
"""

Completed = Callable[[str], list[str]]


@pytest.fixture
def completed(tmp_path: Path, make_version: Callable[..., Path]) -> Completed:
    """Return a function that completes the last of the words typed after `statehouse`."""
    for name, version in (("digits", "1.0"), ("digits", "1.10"), ("diabetes", "2.0")):
        make_version(name, version)
    (tmp_path / "deployment.yaml").write_text(DEPLOYMENT)
    (tmp_path / "described.pt").touch()
    (tmp_path / "notes.txt").touch()

    def complete(typed: str) -> list[str]:
        words = f"statehouse {typed}"
        asked = {"_STATEHOUSE_COMPLETE": "complete_bash", "COMP_WORDS": words}
        done = subprocess.run(
            [COMMAND], cwd=tmp_path, capture_output=True, text=True, check=True,
            env=os.environ | asked | {"COMP_CWORD": str(len(words.split(" ")) - 1)},
        )  # fmt: skip
        assert not done.stderr
        return done.stdout.split()

    return complete


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("publish x.pt --task ta", ["tabular"]),
        ("publish x.pt --architecture s", ["simple_net"]),
        ("publish x.pt --name di", ["diabetes", "digits"]),
        ("swap dia", ["diabetes"]),
        ("swap digits ", ["1.0", "1.10"]),
        ("retire digits 1.1", ["1.10"]),
        ("predict d", ["digits"]),
        ("predict digits/", ["digits/1.0", "digits/1.10"]),
        ("load-test d", ["digits"]),
        ("inspect d", ["described.pt", "diabetes-2.0", "digits-1.0", "digits-1.10"]),
    ],
)
def test_values_are_completed(completed: Completed, typed: str, expected: list[str]) -> None:
    assert completed(typed) == expected


def test_what_cannot_be_read_completes_nothing_and_says_nothing(completed: Completed, tmp_path: Path) -> None:
    assert completed("swap --deployment nowhere/deployment.yaml d") == []
    (tmp_path / "deployment.yaml").write_text("models: [")
    assert completed("swap d") == []
    assert completed("predict d") == []


def test_built_in_architectures_are_modules_called_like_them() -> None:
    from statehouse.models import architectures, libraries
    from statehouse.models.architecture import get_architecture, list_architectures
    from statehouse.scripts.commands.completion import architectures as completed

    built_in = [
        name
        for name in list_architectures()
        if get_architecture(name).builder.__module__.startswith(architectures.__name__)
    ]
    assert completed(None, "") == sorted([*built_in, *(f"{library}:" for library in libraries.LIBRARIES)])
