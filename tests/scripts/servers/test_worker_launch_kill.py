"""A `kill` for systems without one; the container's tests use it as TorchServe does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from statehouse.scripts.servers.worker_launch import path_with_kill


def test_where_there_is_one_nothing_is_made(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "kill").write_text("#!/bin/sh\n")
    (there / "kill").chmod(0o755)
    assert path_with_kill(str(there), tmp_path / "ours") == str(there)
    assert not (tmp_path / "ours").exists()


def test_where_there_is_none_ours_kills(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for _ in range(2):  # each server that is started asks
        path = path_with_kill(str(empty), tmp_path / "ours")
    assert path.split(os.pathsep) == [str(empty), str(tmp_path / "ours")]
    victim = subprocess.Popen(["sleep", "600"])
    subprocess.run([tmp_path / "ours" / "kill", "-9", str(victim.pid)], check=True)
    assert victim.wait() == -9
