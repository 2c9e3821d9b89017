"""What becomes of freed memory: counted in pages that the kernel had to give again."""

import base64
import json
from pathlib import Path

from benchmarks.worker_process import WorkerProcess
from handlers.images import make_png
from models import ImageClassificationTask

BATCHES, ROWS = 20, 16


def page_faults_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def test_memory_that_a_batch_frees_is_there_for_the_next(make_version) -> None:
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
        assert page_faults_of(worker.pid) - before < 1000 * BATCHES  # left alone: some 17,000 each
