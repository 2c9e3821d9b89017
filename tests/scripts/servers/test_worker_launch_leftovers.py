"""What a killed server left behind is found by its private folder, and nothing else is."""

import subprocess
import sys
from pathlib import Path

from statehouse.scripts.servers.worker_launch import kill_leftovers


def sleeper(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"]
    process = subprocess.Popen(command, env={"TMPDIR": str(folder)}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_only_those_that_were_told_of_the_folder_are_killed(tmp_path: Path) -> None:
    ours, others = sleeper(tmp_path / "a"), sleeper(tmp_path / "ab")
    assert kill_leftovers(tmp_path / "a") == [ours.pid]
    assert ours.wait(timeout=10) == -9
    assert others.poll() is None
    others.kill()
    for each in (ours, others):
        each.communicate()
    assert kill_leftovers(tmp_path / "a") == []
