"""What becomes of freed memory: counted in pages that the kernel had to give again."""

import base64
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.worker_process import WorkerProcess
from handlers.images import make_png
from models import ImageClassificationTask

ROOT = Path(__file__).resolve().parent.parent.parent
BATCHES, ROWS, ACTIVATION_BYTES = 20, 8, 8 << 20

COUNT_FAULTS = f"""
import resource, sys
import torch
from handlers.allocator import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()

def batch():
    return [torch.ones({ACTIVATION_BYTES} // 4) for _ in range(4)]

for _ in range(3):
    batch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({BATCHES}):
    batch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", COUNT_FAULTS, how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_memory_that_a_batch_frees_is_there_for_the_next() -> None:
    assert faults("kept") < faults("stock") / 4


def page_faults_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def test_a_worker_keeps_it(make_version) -> None:
    task = ImageClassificationTask(
        labels=["a", "b"], height=128, width=128, mode="rgb", mean=[0.5] * 3, std=[0.5] * 3
    )
    config = {"in_channels": 3, "height": 128, "width": 128, "num_classes": 2, "channels": [16, 32]}
    image = {"b64": base64.b64encode(make_png(0, task)).decode()}
    body = json.dumps({"instances": [image] * ROWS}).encode()
    with WorkerProcess(make_version("convnet", config, task), "handlers.image_classification") as worker:
        for _ in range(3):
            worker.predict(body)
        before = page_faults_of(worker.pid)
        for _ in range(BATCHES):
            worker.predict(body)
        assert page_faults_of(worker.pid) - before < 1000 * BATCHES  # left alone: more than 4000 each
