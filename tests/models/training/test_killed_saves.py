"""A process that is killed while it saves a run: what is there is whole, and the run goes on from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.models.training_runs import Run, assert_same_run, seeded_run

from statehouse.models import resume_training

ROOT = Path(__file__).resolve().parents[3]


KILLED_SAVES = """
import json, os, pathlib, signal, sys
from pathlib import Path
from statehouse.models.storage import files
from tests.models.training_runs import seeded_run

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying:
    '''A file whose process is killed by the write that reaches `limit` bytes.'''
    def __init__(self, file, limit):
        self.file, self.limit, self.written = file, limit, 0
    def write(self, data):
        part = bytes(data)[: max(0, self.limit - self.written)]
        self.file.write(part)
        self.file.flush()
        self.written += len(part)
        if self.written >= self.limit:
            die()
        return len(part)
    def __getattr__(self, name):
        return getattr(self.file, name)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.file.close()

def prepare_to_die(point, path):
    open_file, synced = pathlib.Path.open, []
    if point.endswith("%"):
        limit = path.stat().st_size * int(point[:-1]) // 100
        pathlib.Path.open = lambda self, mode="r", **rest: (
            Dying(open_file(self, mode, **rest), limit) if mode == "wb" else open_file(self, mode, **rest)
        )
    elif point == "before it is on disk":
        files._sync = die
    elif point == "before it is in place":
        pathlib.Path.replace = die
    else:
        files._sync = lambda path: die() if synced else synced.append(path)

codes = {}
for point, folder in json.loads(sys.argv[1]).items():
    process = os.fork()
    if process == 0:
        path = Path(folder, "run.pt")
        run = seeded_run().train(9)
        run.save(path)
        run.train(4)
        prepare_to_die(point, path)
        run.save(path)
        os._exit(0)
    codes[point] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
print(json.dumps(codes))
"""


POINTS = ["0%", "1%", "50%", "90%", "before it is on disk", "before it is in place", "once it is in place"]


@pytest.fixture(scope="module")
def killed_at(tmp_path_factory):
    """Return, for each point, the folder in which a save was killed there, and the process's exit code."""
    folders = {point: tmp_path_factory.mktemp("killed") for point in POINTS}
    command = [
        sys.executable,
        "-c",
        KILLED_SAVES,
        json.dumps({key: str(each) for key, each in folders.items()}),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    printed = subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True).stdout
    return folders, json.loads(printed)


@pytest.mark.parametrize("point", POINTS)
def test_a_save_that_is_killed_leaves_a_whole_file_to_resume_from(killed_at, point):
    folders, codes = killed_at
    assert codes[point] == -signal.SIGKILL
    path = folders[point] / "run.pt"
    saved_step = 13 if point == "once it is in place" else 9
    leftovers = [each for each in folders[point].iterdir() if each != path]
    assert len(leftovers) == (0 if point == "once it is in place" else 1)

    resumed = Run()
    state = resume_training(path, resumed.model, resumed.optimizer, **resumed.parts)
    assert state.step == saved_step
    resumed.train(18 - saved_step)
    assert_same_run(resumed, seeded_run().train(18))
