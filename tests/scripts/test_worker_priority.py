import subprocess
from pathlib import Path

import pytest

from scripts import worker_priority
from scripts.worker_priority import NICENESS, may_come_back, worker_python

TELL = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"


def test_the_python_of_workers_is_ours_and_nice_where_that_can_be_undone(tmp_path: Path) -> None:
    python = worker_python(tmp_path, tmp_path / "nobody-forks.sock")
    told = subprocess.run([python, "-c", TELL], capture_output=True, text=True, check=True).stdout
    assert int(told) == (NICENESS if may_come_back() else 0)


def test_where_it_cannot_be_undone_nothing_is_nice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_priority, "may_come_back", lambda: False)
    python = worker_python(tmp_path, tmp_path / "nobody-forks.sock")
    told = subprocess.run([python, "-c", TELL], capture_output=True, text=True, check=True).stdout
    assert int(told) == 0
