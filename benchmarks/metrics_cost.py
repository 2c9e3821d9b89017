"""What metrics cost: this server with them, scraped every 5 s, beside the same whose workers measure nothing.

    python -m benchmarks.metrics_cost --connections 64 --rounds 7

Both serve the 784-256-10 network at once; the load goes to one after the other, in turn who is first. Ratios are those
of a round, the medians over the rounds count: throughput is to be at least 0.97 of what it is without. Processor time
per request (front, TorchServe and workers, from /proc) says the same with less noise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import torch
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.load import Target, measure, warm_up
from benchmarks.processes import end_in_order
from benchmarks.swaps import SMALL, STATEHOUSE
from statehouse.models import build_model

GOAL = 0.97
SCRAPE_SECONDS = 5.0  # three times as often as deploy/prometheus does
UNMEASURED = Path(__file__).with_name("unmeasured.py")
BODY = json.dumps({"inputs": [0.5] * 784}).encode()


class Side:
    """One of the two servers."""

    def __init__(self, folder: Path, *, measured: bool) -> None:
        folder.mkdir()
        self.measured = measured
        self._folder = folder
        file = folder / "small.pt"
        model = build_model("simple_net", SMALL)
        torch.save({"model_state_dict": model.state_dict(), "model_config": SMALL}, file)
        shutil.copy(UNMEASURED, folder)
        options = ["--architecture", "simple_net" if measured else "unmeasured_net", "--task", "tensor"]
        options += [] if measured else ["--architectures", UNMEASURED.stem]
        self._run("publish", str(file), "--name", "small", "--version", "1.0", *options)
        listen = {"front": "127.0.0.1:0", "reader": "127.0.0.1:0", "grpc": "127.0.0.1:0"}
        deployment = {
            "listen": listen,
            "models": {"small": {"default": "1.0", "versions": {"1.0": {}}}},
        }
        (folder / "deployment.yaml").write_text(yaml.safe_dump(deployment))

    def _run(self, *arguments: str) -> str:
        command = [STATEHOUSE, *arguments]
        return subprocess.run(
            command, cwd=self._folder, env=self._environment(), check=True, capture_output=True, text=True
        ).stdout

    def _environment(self) -> dict[str, str]:
        return os.environ | {"STATEHOUSE_DEPLOYMENT": str(self._folder / "deployment.yaml")}

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the end of the block."""
        with (self._folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                [STATEHOUSE, "serve", "--json"],
                cwd=self._folder,
                env=self._environment(),
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            line = process.stdout.readline() if process.stdout else b""
            announced = json.loads(line)
            if not announced["ready"]:
                raise SystemExit(f"not ready: {announced['missing']}")
            self.target = Target(
                f"{announced['front']}/predictions/small", (BODY,), {"Content-Type": "application/json"}
            )
            self._reader = announced["reader"]
            status = json.loads(self._run("status", "--json"))
            self._pids = [*status["pids"].values(), *status["models"][0]["workers"]["pids"]]
            yield
        finally:
            process.terminate()
            process.wait()

    def round(self, connections: int, seconds: float) -> dict[str, float]:
        """Load it once: requests per second, and microseconds of processors per request."""
        with self._scraped() if self.measured else threading.Lock():
            before = self._processor_seconds()
            found = measure(self.target, connections, seconds)
            spent = self._processor_seconds() - before
        if found.failed:
            raise SystemExit(f"{found.failed} of {found.answered} requests failed")
        return {"throughput": found.requests_per_second, "processor": spent / found.answered * 1e6}

    def _processor_seconds(self) -> float:
        ticks = 0
        for pid in self._pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    @contextmanager
    def _scraped(self) -> Iterator[None]:
        over = threading.Event()

        def scrape() -> None:
            with httpx.Client(timeout=30) as client:  # one, as it costs a processor 35 ms to make
                while not over.wait(SCRAPE_SECONDS):
                    client.get(f"{self._reader}/metrics").raise_for_status()

        thread = threading.Thread(target=scrape)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def compare(sides: tuple[Side, Side], connections: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the medians, with metrics and without, and of the rounds' ratios."""
    found: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            found[side].append(sides[side].round(connections, seconds))
    row: dict[str, Any] = {"connections": connections}
    for figure in ("throughput", "processor"):
        pairs = [(ours[figure], bare[figure]) for ours, bare in zip(*found, strict=True)]
        row[figure] = {
            "with": median(ours for ours, _ in pairs),
            "without": median(bare for _, bare in pairs),
            "ratio": median(ours / bare for ours, bare in pairs),
        }
    return row


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print what was found."""
    table = Table(
        "connections", "requests/s with", "without", "ratio", "processor µs/request with", "without", "ratio"
    )
    for row in rows:
        figures = [row[figure] for figure in ("throughput", "processor")]
        cells = [
            text
            for each in figures
            for text in (f"{each['with']:,.0f}", f"{each['without']:,.0f}", f"{each['ratio']:.3f}")
        ]
        table.add_row(str(row["connections"]), *cells)
    Console().print(table)


def main() -> None:
    """Run it."""
    end_in_order()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mc-") as folder:
        sides = Side(Path(folder, "with"), measured=True), Side(Path(folder, "without"), measured=False)
        with sides[0].serving(), sides[1].serving():
            for side in sides:
                warm_up(side.target, max(options.connections))
            rows = [compare(sides, count, options.rounds, options.seconds) for count in options.connections]
    if options.json:
        print(json.dumps(rows))
    else:
        print_table(rows)
    raise SystemExit(any(row["throughput"]["ratio"] < GOAL for row in rows))


if __name__ == "__main__":
    main()
