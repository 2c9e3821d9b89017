"""The limit: the module alone in a loop, no server, on the same cores.

As many processes as cores with one torch thread each, or one process with all threads: what is faster counts, over
the batch sizes of the lanes. ``--decode`` makes each photograph's pixels of its JPEG first, as any server must.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.processes import ROOT
from benchmarks.workloads import OWN_ARCHITECTURES, Workload

BATCH_SIZES = (1, 4, 32)


@dataclass(frozen=True)
class Limit:
    """The best that was found, and how."""

    rows_per_second: float
    batch_size: int
    processes: int
    threads: int


def limit_of(workload: Workload, folder: Path, seconds: float, *, decode: bool) -> Limit:
    """Return the most rows per second that the module alone does on this machine's cores."""
    rows = folder / f"{workload.name}-rows"
    rows.write_bytes(pickle.dumps((workload.kind, workload.rows)))
    cores = os.cpu_count() or 1
    ways = {(cores, 1), (1, cores)}
    limits = [
        Limit(
            _run(workload, rows, seconds, size, processes, threads, decode=decode), size, processes, threads
        )
        for size in BATCH_SIZES
        for processes, threads in sorted(ways)
    ]
    return max(limits, key=lambda limit: limit.rows_per_second)


def _run(
    workload: Workload, rows: Path, seconds: float, size: int, processes: int, threads: int, *, decode: bool
) -> float:
    command = [sys.executable, "-m", "benchmarks.raw_loop", str(workload.checkpoint), str(rows)]
    command += ["--batch", str(size), "--threads", str(threads), "--seconds", str(seconds)]
    command += ["--decode"] if decode else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        if not process.stdout or process.stdout.readline() != "ready\n":
            raise SystemExit("the raw loop did not start")
    for process in running:  # all are ready: from here they run together
        if process.stdin:
            process.stdin.write("\n")
            process.stdin.flush()
    return sum(float(process.communicate()[0]) for process in running)


def main() -> None:
    """Loop in this process; say `ready`, wait for a line, print rows per second."""
    import torch

    from benchmarks.pixels import pixels
    from models import import_architectures, load_checkpoint

    options = _parse()
    torch.set_num_threads(options.threads)
    import_architectures([OWN_ARCHITECTURES])
    module = load_checkpoint(options.checkpoint, map_location="cpu").build().eval()
    kind, rows = pickle.loads(options.rows.read_bytes())  # noqa: S301 - of this benchmark's own folder
    chosen = [rows[index % len(rows)] for index in range(options.batch)]

    def made() -> torch.Tensor:
        return torch.from_numpy(np.stack([pixels(row) for row in chosen] if kind == "image" else chosen))

    batch = made()
    with torch.inference_mode():
        for _ in range(5):
            module(batch)
        print("ready", flush=True)
        sys.stdin.readline()
        began, count = time.perf_counter(), 0
        while (now := time.perf_counter()) - began < options.seconds:
            module(made() if options.decode else batch)
            count += options.batch
    print(count / (now - began))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--decode", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
