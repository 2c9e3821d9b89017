"""`statehouse tune`, its command line: wrong usage is refused before anything is asked of a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scripts.test_cli import run


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--connections", "8", "--rate", "500"], "do not go together"),
        (["--p99-ms", "0"], "expected more than 0"),
        (["--rate", "-5"], "expected more than 0"),
        (["--duration", "fast"], "no duration"),
        (["--rounds", "0"], "--rounds"),
        (["--batch-sizes", "1,many"], "like 1,8,32"),
        (["--batch-sizes", "0"], "from 1 to 1024"),
        (["--plot", "found.png"], "FILE.svg"),
        (["--plot", "nowhere/found.svg"], "a folder that exists"),
    ],
)
def test_wrong_usage_is_refused(options: list[str], reason: str, tmp_path: Path) -> None:
    done = run("tune", "digits", *options, folder=tmp_path, width=200)
    assert done.returncode == 2
    assert reason in done.stderr


def test_nothing_serves(tmp_path: Path) -> None:
    done = run("tune", "digits", folder=tmp_path)
    assert done.returncode == 3
    assert "statehouse serve" in done.stderr
