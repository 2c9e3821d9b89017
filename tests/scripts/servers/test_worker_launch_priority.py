import os
import subprocess
import sys
from pathlib import Path

import pytest

from statehouse.handlers.worker.priority import LOADING_NICENESS
from statehouse.scripts.servers import worker_launch as worker_priority
from statehouse.scripts.servers.worker_launch import may_come_back, worker_python

OURS = os.getpriority(os.PRIO_PROCESS, 0)
TELL = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
COME_BACK = (
    f"from statehouse.handlers.worker.priority import take_normal_priority; take_normal_priority(); {TELL}"
)


def test_the_python_of_workers_is_ours_and_nice_where_that_can_be_undone(tmp_path: Path) -> None:
    python = worker_python(tmp_path, tmp_path / "nobody-forks.sock")
    told = subprocess.run([python, "-c", TELL], capture_output=True, text=True, check=True).stdout
    assert int(told) == (min(OURS + LOADING_NICENESS, 19) if may_come_back() else OURS)


def test_where_it_cannot_be_undone_nothing_is_nice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_priority, "may_come_back", lambda: False)
    python = worker_python(tmp_path, tmp_path / "nobody-forks.sock")
    told = subprocess.run([python, "-c", TELL], capture_output=True, text=True, check=True).stdout
    assert int(told) == OURS


def test_a_worker_comes_back_to_the_servers_own_niceness(tmp_path: Path) -> None:
    python = worker_python(tmp_path, tmp_path / "nobody-forks.sock")
    told = subprocess.run([python, "-c", COME_BACK], capture_output=True, text=True, check=True).stdout
    assert int(told) == OURS


def test_a_worker_of_a_server_without_rights_stays_as_nice_as_that(tmp_path: Path) -> None:
    """Such a one may not take another priority at all: whoever serves under `nice` could load nothing."""
    told = subprocess.run(
        ["nice", "-n", "3", sys.executable, "-c", COME_BACK], capture_output=True, text=True, check=True
    ).stdout
    assert int(told) == min(OURS + 3, 19)
