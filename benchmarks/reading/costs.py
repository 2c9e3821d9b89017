"""What reading costs: a large file beside the build before, many small tensors beside torch's own safe loading."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from tests.support.worker_process import make_version

from benchmarks.loading import WAYS, large_config
from statehouse.models import TensorTask
from statehouse.models.storage.containers import read_container

ROOT = Path(__file__).resolve().parents[2]
SMALL_TENSORS = 10_000
READ_ONCE = """
import json, pathlib, sys, time
from statehouse.models.storage.containers import read_container
def anonymous():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024
path, before = pathlib.Path(sys.argv[1]), anonymous()
began = time.perf_counter()
held = read_container(path, "cpu")[1]
names = list(held["model_state_dict"])
read = time.perf_counter() - began
for tensor in held["model_state_dict"].values():
    tensor.reshape(-1)[0].item()
print(json.dumps({"read": read, "first": time.perf_counter() - began, "mib": anonymous() - before}))
"""


@dataclass(frozen=True)
class Pair:
    """One figure of ours and of what it is held against, a value each per round."""

    name: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...] | None = None
    goal: float | None = None

    @property
    def ratio(self) -> float | None:
        """The median over the rounds of ours / theirs."""
        if self.theirs is None:
            return None
        return statistics.median(our / their for our, their in zip(self.ours, self.theirs, strict=True))


def large_file(folder: Path, megabytes: int, rounds: int, before: Path | None) -> list[Pair]:
    """Read, and serve for the first time, a large checkpoint in fresh processes, in turn with the build in `before`."""
    checkpoint, private = make_version(
        folder / "large", "mlp", large_config(megabytes), TensorTask(), batch_size=1
    )
    roots = {"ours": ROOT} | ({"theirs": before} if before else {})
    reading: dict[str, list[dict[str, float]]] = {side: [] for side in roots}
    serving: dict[str, list[dict[str, float]]] = {side: [] for side in roots}
    checkpoint.read_bytes()  # into the page cache
    for number in range(rounds):
        for side in sorted(roots, reverse=bool(number % 2)):
            reading[side].append(_in_build(roots[side], "-c", READ_ONCE, str(checkpoint)))
            once = ("-m", "benchmarks.loading", "--once", WAYS[1], str(checkpoint), str(private))
            serving[side].append(_in_build(roots[side], *once))
    return [
        _pair("1.2 GB: header and names", "s", reading, lambda one: one["read"]),
        _pair("1.2 GB: an element of each tensor", "s", reading, lambda one: one["first"]),
        _pair("1.2 GB: anonymous memory of reading", "MiB", reading, lambda one: max(one["mib"], 0.1)),
        _pair("1.2 GB: first prediction", "s", serving, lambda one: one["answered"]),
        _pair("1.2 GB: anonymous memory at its peak, served", "MiB", serving, lambda one: one["peak_mib"]),
    ]


def _pair(
    name: str,
    unit: str,
    runs: Mapping[str, list[dict[str, float]]],
    figure: Callable[[dict[str, float]], float],
) -> Pair:
    sides = {side: tuple(figure(one) for one in found) for side, found in runs.items()}
    return Pair(name, unit, sides["ours"], sides.get("theirs"), 1.1 if "theirs" in sides else None)


def _in_build(root: Path, *arguments: str) -> dict[str, float]:
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"}
    done = subprocess.run(
        (sys.executable, *arguments), cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def small_tensors(folder: Path, rounds: int) -> Pair:
    """Read many small tensors in this process, in turn with torch's own safe loading of the mapped file."""
    path = folder / "small.pt"
    torch.save(
        {f"layers.{number}.weight": torch.full((4, 4), number / 8) for number in range(SMALL_TENSORS)}, path
    )
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: read_container(path, "cpu"),
        "theirs": lambda: torch.load(path, weights_only=True, mmap=True),
    }
    found: dict[str, list[float]] = {side: [] for side in ways}
    for way in ways.values():
        way()
    for number in range(rounds):
        for side in sorted(ways, reverse=bool(number % 2)):
            found[side].append(_seconds(ways[side]))
    name = f"{SMALL_TENSORS:,} small tensors, beside torch.load(weights_only, mmap)"
    return Pair(name, "s", tuple(found["ours"]), tuple(found["theirs"]), 1.5)


def _seconds(way: Callable[[], object]) -> float:
    began = time.perf_counter()
    way()
    return time.perf_counter() - began
