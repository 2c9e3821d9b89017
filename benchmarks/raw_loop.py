"""The limit: the module alone in a loop, no server, on the same cores.

As many processes as cores with one torch thread each, or one process with all threads: what is faster counts, over
the batch sizes that versions have. ``--decode`` makes each photograph's pixels of its JPEG first, as any server must.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    cores = os.cpu_count() or 1
    limits = []
    for processes, threads in sorted({(cores, 1), (1, cores)}):
        with _loops(workload, folder, seconds, processes, threads, decode=decode) as running:
            for size in BATCH_SIZES:
                limits.append(Limit(_together(running, size), size, processes, threads))
    return max(limits, key=lambda limit: limit.rows_per_second)


@contextmanager
def looping(
    workload: Workload, folder: Path, seconds: float, limit: Limit, *, decode: bool
) -> Iterator[Callable[[], float]]:
    """Keep loops as ``limit`` has them ready; each call of what is given runs them and returns rows per second."""
    with _loops(workload, folder, seconds, limit.processes, limit.threads, decode=decode) as running:
        yield lambda: _together(running, limit.batch_size)


@contextmanager
def _loops(
    workload: Workload, folder: Path, seconds: float, processes: int, threads: int, *, decode: bool
) -> Iterator[list[subprocess.Popen[str]]]:
    rows = folder / f"{workload.name}-rows"
    rows.write_bytes(pickle.dumps((workload.kind, workload.rows)))
    command = [sys.executable, "-m", "benchmarks.raw_loop", str(workload.checkpoint), str(rows)]
    command += ["--threads", str(threads), "--seconds", str(seconds), *(["--decode"] if decode else [])]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    running = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def _together(running: list[subprocess.Popen[str]], batch_size: int) -> float:
    """Rows per second of all loops at once."""
    for process in running:
        _write(process, str(batch_size))
    if any(_read(process) != "ready" for process in running):
        raise SystemExit("the raw loop did not start")
    for process in running:  # all are ready: from here they run together
        _write(process, "go")
    return sum(float(_read(process)) for process in running)


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101
    return process.stdout.readline().strip()


def main() -> None:
    """For every batch size on stdin: say `ready`, wait for a line, loop in this process, print rows per second."""
    import torch

    from benchmarks.pixels import pixels
    from statehouse.models import import_architectures, load_checkpoint

    options = _parse()
    torch.set_num_threads(options.threads)
    import_architectures([OWN_ARCHITECTURES])
    module = load_checkpoint(options.checkpoint, map_location="cpu").build().eval()
    kind, rows = pickle.loads(options.rows.read_bytes())  # noqa: S301 - of this benchmark's own folder

    def made(size: int) -> torch.Tensor:
        chosen = [rows[index % len(rows)] for index in range(size)]
        return torch.from_numpy(np.stack([pixels(row) for row in chosen] if kind == "image" else chosen))

    with torch.inference_mode():
        for line in iter(sys.stdin.readline, ""):
            size = int(line)
            batch = made(size)
            for _ in range(5):
                module(batch)
            print("ready", flush=True)
            sys.stdin.readline()
            began, count = time.perf_counter(), 0
            while (now := time.perf_counter()) - began < options.seconds:
                module(made(size) if options.decode else batch)
                count += size
            print(count / (now - began), flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--decode", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
