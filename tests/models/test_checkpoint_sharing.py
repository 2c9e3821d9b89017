"""That loading maps the file: several processes hold one copy of the weights, and none of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from statehouse.models import build_model, save_checkpoint

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = {"input_size": 4000, "hidden_size": 4000, "num_classes": 10}
WEIGHTS_KIB = 4000 * 4000 * 4 // 1024

# Loads, predicts, tells its anonymous memory before and after, and stays until its input ends.
HOLD = """
import sys, torch
from statehouse import build_model, import_architectures, load_checkpoint
torch.set_num_threads(1)
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon:"))
import_architectures([])
rows = torch.zeros(1, 4000)
build_model("simple_net", {"input_size": 4000, "hidden_size": 8, "num_classes": 2})(rows)
before = anonymous()
module = load_checkpoint(sys.argv[1]).build()
module(rows)
print(before, anonymous(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", params=["pt", "safetensors"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shared") / f"large.{request.param}"
    return save_checkpoint(path, build_model("simple_net", CONFIG), architecture="simple_net", config=CONFIG)


@pytest.fixture
def holders(checkpoint: Path) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", HOLD, str(checkpoint)]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    yield started
    for process in started:
        process.communicate()


def mapping_of(pid: int, file: Path) -> dict[str, int]:
    """The sums in KiB over the parts of `file` that the process maps, from its smaps."""
    held: dict[str, int] = {}
    ours = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if "-" in name.split()[0]:
            ours = line.endswith(str(file))
        elif ours and rest.endswith(" kB"):
            held[name] = held.get(name, 0) + int(rest.split()[0])
    return held


def test_two_processes_share_one_copy_and_have_none_of_their_own(
    checkpoint: Path, holders: list[subprocess.Popen[str]]
) -> None:
    for process in holders:
        before, after = map(int, process.stdout.readline().split())
        assert after - before < WEIGHTS_KIB / 4
    for process in holders:
        held = mapping_of(process.pid, checkpoint)
        assert held["Rss"] > WEIGHTS_KIB * 0.9  # it has read them all, to predict
        assert held["Shared_Clean"] > WEIGHTS_KIB * 0.9
        assert held["Private_Dirty"] == 0
        assert held["Pss"] < WEIGHTS_KIB * 0.6
