"""The soak itself: a real server, its load, and what happens to it meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tests.e2e.server import Server
from tests.soak.growth import Growth, growth
from tests.soak.load import Failure, SteadyLoad
from tests.soak.readings import Readings

from statehouse.models.architecture import build_model
from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.tasks.registry import TensorTask
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

SWAP_SECONDS = 20.0
KILL_SECONDS = 60.0
FIRST_KILL_SECONDS = 30.0  # between two swaps
READ_SECONDS = 2.0
HEAL_SECONDS = 120.0
NAME, VERSIONS = "net", ("1.0", "1.1")
SIZES = {"input_size": 16, "hidden_size": 64, "num_classes": 5}
BODIES = 64
MOST_FAILED_PER_KILL = 32  # the largest batch: what one process has in flight
# Beyond these, per minute, something grows: half a gigabyte a day, or one thing in a minute's three swaps.
BOUND_OF_MEMORY, BOUND_OF_COUNTS = 0.35, 0.34
# What may be filled once and stays so, whenever that is: Java goes on to compile for minutes.
FILLED_ONCE = {"torchserve": 8.0}
UNITS = {"memory": "MiB", "temp files' size": "MiB"}

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Kill:
    """A worker's end, and how many requests were told of it."""

    pid: int
    at_seconds: float
    failed: int


@dataclass(frozen=True)
class Outcome:
    """What became of it all; ``problems`` has a line for each thing that must not be."""

    requests: int
    answers: dict[str, int]  # by status and version
    swaps: int
    kills: tuple[Kill, ...]
    growth: tuple[Growth, ...]
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems

    @property
    def answers_by_status(self) -> str:
        """``5,940 × 200, 60 × 400``."""
        counts: Counter[str] = Counter()
        for key, count in self.answers.items():
            counts[key.split()[0]] += count
        return ", ".join(f"{count:,} × {status}" for status, count in sorted(counts.items()))


class Soak:
    """One run: ``began`` and all other times are of time.monotonic."""

    def __init__(self, server: Server, tell: Tell) -> None:
        self.server = server
        self._tell = tell
        self.began = time.monotonic()
        self.swaps = 0
        self.kills: list[tuple[int, float, float]] = []  # whom, when, and when all was well again
        self.problems: list[str] = []

    def disturb(self, seconds: float) -> None:
        """Swap and kill, each at its time, for so long."""
        due = [
            *((at, self._swap) for at in np.arange(SWAP_SECONDS, seconds, SWAP_SECONDS)),
            *((at, self._kill) for at in np.arange(FIRST_KILL_SECONDS, seconds, KILL_SECONDS)),
        ]
        for at, what in sorted(due, key=lambda each: each[0]):
            time.sleep(max(self.began + at - time.monotonic(), 0))
            if time.monotonic() - self.began < seconds:  # a slow machine is not held up
                what()
        time.sleep(max(self.began + seconds - time.monotonic(), 0))

    def _swap(self) -> None:
        self.swaps += 1
        version = VERSIONS[self.swaps % 2]
        done = self.server.run("swap", NAME, version, "--retire", check=False)
        self._say(f"swap to {version}: {'done' if done.returncode == 0 else 'FAILED'}")
        if done.returncode:
            self.problems.append(f"the swap to {version} failed: {done.stdout}{done.stderr}")

    def _kill(self) -> None:
        [row] = self.server.reader.get("/status").json()["models"]
        pids = row["workers"]["pids"]
        pid = pids[len(self.kills) % len(pids)]
        at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while self._is_gone_unnoticed(pid):
            if time.monotonic() - at > HEAL_SECONDS:
                self.problems.append(f"worker {pid}, killed, was not replaced within {HEAL_SECONDS:g} s")
                break
            time.sleep(0.1)
        self.kills.append((pid, at, time.monotonic()))
        self._say(f"worker {pid} killed, replaced within {time.monotonic() - at:.1f} s")

    def _is_gone_unnoticed(self, pid: int) -> bool:
        status = self.server.reader.get("/status").json()
        return not status["ready"] or pid in status["models"][0]["workers"]["pids"]

    def _say(self, what: str) -> None:
        self._tell(f"{time.monotonic() - self.began:6.0f} s  {what}")


def soak(folder: Path, *, seconds: float, rate: float, tell: Tell) -> Outcome:
    """Run a server in ``folder`` for ``seconds`` under ``rate`` requests per second; return what became of it."""
    server = Server(folder)
    inputs = np.random.default_rng(7).normal(size=(BODIES, SIZES["input_size"])).round(3)
    expected = {version: _publish(server, version, seed, inputs) for seed, version in enumerate(VERSIONS)}
    server.write_deployment(models={NAME: {"default": VERSIONS[0], "versions": {VERSIONS[0]: {}}}})
    server.start()
    try:
        url = f"{server.announced['front']}/predictions/{NAME}"
        with SteadyLoad(url, inputs.tolist(), expected, rate=rate) as load:
            running = Soak(server, tell)
            with Readings(server, every_seconds=READ_SECONDS) as readings:
                running.disturb(seconds)
    finally:
        server.kill_if_running()
    return _outcome(running, load, readings)


def _publish(server: Server, version: str, seed: int, inputs: NDArray[Any]) -> NDArray[Any]:
    torch.manual_seed(seed)
    model = build_model("simple_net", SIZES).eval()
    file = server.folder / f"{version}.pt"
    save_checkpoint(file, model, architecture="simple_net", config=SIZES, task=TensorTask())
    publish(file, store=LocalStore(server.store), name=NAME, version=version)
    with torch.no_grad():
        return model(torch.tensor(inputs, dtype=torch.float32)).numpy()


def _outcome(running: Soak, load: SteadyLoad, readings: Readings) -> Outcome:
    found = tuple(
        growth(
            f"{quantity}, {process}",
            series,
            unit=UNITS.get(quantity, ""),
            bound=_bound(quantity, process, minutes=series[-1][0] / 60),
            cycle_seconds=SWAP_SECONDS,
        )
        for (quantity, process), series in sorted(readings.series.items())
    )
    kills, unexcused = _excuse(running, load.failures)
    answered = load.answers.total() + sum(failure.status is None for failure in load.failures)
    problems = [
        *running.problems,
        *(f"at {failure.sent - running.began:.1f} s: {failure.what}" for failure in unexcused),
        *(f"{kill.failed} requests failed with one worker" for kill in kills
          if kill.failed > MOST_FAILED_PER_KILL),
        *(f"{each.name} grows: {each.slope:+.3f} ± {each.error:.3f} {each.unit} per minute"
          for each in found if each.grows),
    ]  # fmt: skip
    if answered != load.sent_count:
        problems.append(f"{load.sent_count} requests were sent, and {answered} ended")
    answers = {f"{status} {version or '-'}": count for (status, version), count in sorted(
        load.answers.items(), key=str)}  # fmt: skip
    return Outcome(load.sent_count, answers, running.swaps, kills, found, tuple(problems))


def _bound(quantity: str, process: str, *, minutes: float) -> float:
    if quantity not in UNITS:
        return BOUND_OF_COUNTS
    return BOUND_OF_MEMORY + FILLED_ONCE.get(process, 1.0) / minutes


def _excuse(running: Soak, failures: list[Failure]) -> tuple[tuple[Kill, ...], list[Failure]]:
    """Divide failures: those that a kill explains, counted with it, and those that nothing does."""
    left = list(failures)
    kills = []
    for pid, at, healed in running.kills:
        told = [each for each in left if each.is_of_the_server and each.sent < healed and each.ended > at]
        left = [each for each in left if each not in told]
        kills.append(Kill(pid, at - running.began, len(told)))
    return tuple(kills), left
