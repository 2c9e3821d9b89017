"""What loading costs: time to the first prediction, memory, hashing, and a worker's start import by import.

    python -m benchmarks.loading                 # a 1.2 GB checkpoint, then the imports
    python -m benchmarks.loading --megabytes 300 --rounds 3
    python -m benchmarks.loading --imports       # only a worker's start

Both ways run in fresh processes in turn, with the file in the page cache; figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.support.worker_process import ForkServer, WorkerProcess, make_version

from benchmarks.worker_start import show_imports
from statehouse.models import ImageClassificationTask, TensorTask
from statehouse.models.tasks.registry import Task

LAYERS = 5
INPUT_SIZE = 784
WAYS = ("build, torch.load, load_state_dict", "Statehouse")
CONVNET = {"in_channels": 3, "height": 128, "width": 128, "num_classes": 10, "channels": [16, 32, 32]}
CONVNET_TASK = ImageClassificationTask(
    labels=[str(n) for n in range(10)], height=128, width=128, mode="rgb", mean=[0.5] * 3, std=[0.5] * 3
)
SMALL = {"input_size": 784, "hidden_size": 256, "num_classes": 10}
STARTS: dict[str, tuple[str, dict[str, object], Task]] = {
    "784-256-10": ("simple_net", dict(SMALL), TensorTask()),
    "convnet, 128 x 128": ("convnet", dict(CONVNET), CONVNET_TASK),
}


def main() -> None:
    """Measure what the arguments ask for, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1200, help="size of the checkpoint")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--imports", action="store_true", help="only a worker's start")
    parser.add_argument("--once", nargs=3, metavar=("WAY", "CHECKPOINT", "PRIVATE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(load_once(*arguments.once)))
        return
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.imports:
            show_loading(console, Path(folder), arguments.megabytes, arguments.rounds)
        show_imports(console, Path(folder), STARTS, arguments.rounds)


def show_loading(console: Console, folder: Path, megabytes: int, rounds: int) -> None:
    """Time and memory to the first prediction, both ways; then workers side by side; then hashing."""
    checkpoint, private = make_version(
        folder / "large", "mlp", large_config(megabytes), TensorTask(), batch_size=1
    )
    size = checkpoint.stat().st_size
    console.print(f"A checkpoint of {size / 1e9:.2f} GB ({LAYERS} layers of {width_of(megabytes):,} units)")
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            found[way].append(in_fresh_process(way, checkpoint, private))
    medians = {
        way: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        for way, runs in found.items()
    }
    table = Table(
        "way", "first prediction", "ratio", "proved itself", "anonymous memory before", "at its peak"
    )
    for way, median in medians.items():
        table.add_row(
            way,
            f"{median['answered']:.3f} s",
            f"{medians[WAYS[0]]['answered'] / median['answered']:.1f} x",
            f"{median['proved']:.3f} s" if way == WAYS[1] else "",
            f"{median['before_mib']:,.0f} MiB",
            f"{median['peak_mib']:,.0f} MiB",
        )
    console.print(table)
    show_workers(console, folder, private)
    began = time.perf_counter()
    with checkpoint.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    seconds = time.perf_counter() - began
    console.print(
        f"SHA-256 of the file: {seconds:.2f} s, once, by the supervisor; inside a worker's start it would make the "
        f"first prediction {1 + seconds / medians[WAYS[1]]['answered']:.1f} x as late."
    )


def show_workers(console: Console, folder: Path, private: Path) -> None:
    """What 1, 2 and 4 workers of the large version hold together."""
    table = Table(
        "workers", "started alone: all Pss", "per further worker", "forked: all Pss", "per further worker"
    )
    alone, forked = (pss_mib(private, python) for python in ((sys.executable,), None))
    for count in (1, 2, 4):
        row = [str(count)]
        for total in (alone, forked):
            further = (total[count] - total[1]) / (count - 1) if count > 1 else math.nan
            row += [f"{total[count]:,.0f} MiB", f"{further:,.0f} MiB" if count > 1 else ""]
        table.add_row(*row)
    console.print(table)


def pss_mib(private: Path, python: tuple[str, ...] | None) -> dict[int, float]:
    """Pss of so many workers and of what starts them, together, in MiB; without `python` they are forked."""
    found: dict[int, float] = {}
    with ForkServer(private) as server:
        workers: list[WorkerProcess] = []
        try:
            for count in (1, 2, 3, 4):
                workers.append(
                    WorkerProcess(private, "statehouse.handlers.tensor", python=python or server.client)
                )
                held = [worker.memory_kib("Pss") for worker in workers]
                held += [] if python else [server.memory_kib("Pss")]
                found[count] = sum(held) / 1024
        finally:
            for worker in workers:
                worker.stop()
    return found


def large_config(megabytes: int) -> dict[str, object]:
    """A multi-layer perceptron whose float32 parameters take about so many megabytes."""
    return {"input_size": INPUT_SIZE, "hidden_sizes": [width_of(megabytes)] * LAYERS, "output_size": 10}


def width_of(megabytes: int) -> int:
    """Units in each of its layers."""
    return math.isqrt(megabytes * 10**6 // 4 // (LAYERS - 1))


def in_fresh_process(way: str, checkpoint: Path, private: Path) -> dict[str, float]:
    """`load_once` in a Python of its own."""
    command = [sys.executable, "-m", "benchmarks.loading", "--once", way, str(checkpoint), str(private)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def load_once(way: str, checkpoint: str, private: str) -> dict[str, float]:
    """Seconds from the first line of loading to the first answer, imports done; and anonymous memory."""
    import torch
    from ts.context import Context

    from statehouse.handlers.tensor import TensorHandler
    from statehouse.models import build_model, import_architectures

    class Handler(TensorHandler):
        """Notes when its module has answered for the first time, which is to warm up."""

        answered: float | None = None

        def inference(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs = super().inference(inputs)
            self.answered = self.answered or time.perf_counter()
            return outputs

    torch.set_num_threads(1)
    import_architectures([])
    with AnonymousMemory() as memory:
        began = time.perf_counter()
        if way == WAYS[0]:
            file = torch.load(checkpoint, weights_only=True, map_location="cpu")
            module = build_model("mlp", file["model_config"])
            module.load_state_dict(file["model_state_dict"])
            with torch.inference_mode():
                module.eval()(torch.zeros(1, INPUT_SIZE))
            answered = time.perf_counter()
        else:
            handler = Handler()
            handler.initialize(Context("model", private, {}, 1, None, None, True))
            answered = handler.answered or math.nan
        proved = time.perf_counter()
    return {
        "answered": answered - began,
        "proved": proved - began,
        "peak_mib": memory.peak_mib,
        "before_mib": memory.before_mib,
    }


class AnonymousMemory:
    """Watches this process' anonymous memory, looking every two milliseconds."""

    def __enter__(self) -> AnonymousMemory:
        self.before_mib = self.peak_mib = self._now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.002):
            self.peak_mib = max(self.peak_mib, self._now())

    @staticmethod
    def _now() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


if __name__ == "__main__":
    main()
