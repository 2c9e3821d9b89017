"""What a swap costs those who are being served: ours, and TorchServe's documented way, in one run.

    python -m benchmarks.swaps --swaps 20

Two loads, on this server and on TorchServe as shipped: a small network at 64 closed connections, and a convnet on
128 x 128 photographs in an open loop at 70 % of that server's capacity. For each, an equally long run without a swap
goes first.
Figures are ratios within one run: a shared machine's absolute times mean little.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_images

from benchmarks.processes import end_in_order
from benchmarks.stock_torchserve import PHOTO as STOCK_PHOTO
from benchmarks.stock_torchserve import StockTorchServe
from statehouse.models import ImageClassificationTask, TensorTask, build_model, save_checkpoint
from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, LoadResult, OpenLoop, run

STATEHOUSE = str(Path(sys.executable).parent / "statehouse")
SMALL = {"input_size": 784, "hidden_size": 256, "num_classes": 10}
PHOTO = {"in_channels": 3, "height": 128, "width": 128, "num_classes": 10, "channels": [16, 32, 32]}
CONNECTIONS = 64
CAPACITY_SECONDS = 5.0
TRIAL_SECONDS = 20.0
SHARE_OF_CAPACITY = 0.7
VERSIONS = ("1.0", "1.1")
MEASURED = ("small", "rollback", "photo", "documented")
Row = dict[str, Any]


class Deployment:
    """A server of the benchmark's own with both models, each in two versions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "model_store").mkdir()
        for name, file in save_models(folder).items():
            for version in VERSIONS:
                self.run("publish", str(file), "--name", name, "--version", version)

    def run(self, *arguments: str) -> str:
        """Run one of our commands; its failure is the benchmark's."""
        done = subprocess.run(
            [STATEHOUSE, *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"statehouse {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def change(self, *command: str) -> Row:
        """Run a change; return what it took from the command to the flip, and until the old version was gone.

        (Rolled back, it is drained then and stays loaded.)
        """
        began = time.time()
        self.run(*command)
        entry = json.loads(self.run("history", "--json"))[-1]
        until_begun = datetime.fromisoformat(entry["when"]).timestamp() - began
        names = [step["name"] for step in entry["steps"]]
        to_flip = sum(step["seconds"] for step in entry["steps"][: names.index("flip") + 1])
        return {
            "to_flip_seconds": until_begun + to_flip,
            "to_gone_seconds": until_begun + entry["seconds"],
        }

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve version 1.0 of both, with the settings of any new name; yield the front's URL."""
        listen = {"front": "127.0.0.1:0", "reader": "127.0.0.1:0", "grpc": "127.0.0.1:0"}
        (self.folder / "deployment.yaml").write_text(yaml.safe_dump({"listen": listen}))
        process = subprocess.Popen(
            [STATEHOUSE, "serve", "--json"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if process.stdout is None:
            raise SystemExit("statehouse serve has no output to read")
        decoder, text = json.JSONDecoder(), ""
        while "front" not in text or "}" not in text:
            text += process.stdout.readline().decode()
        try:
            for name in ("small", "photo"):
                self.run("swap", name, "1.0")
            yield decoder.raw_decode(text)[0]["front"]
        finally:
            process.terminate()
            process.wait()


def save_models(folder: Path) -> dict[str, Path]:
    """Write a checkpoint of each model; weights are random, answers are compared all the same."""
    torch.manual_seed(0)
    small, photo = folder / "small.pt", folder / "photo.pt"
    save_checkpoint(
        small, build_model("simple_net", SMALL), architecture="simple_net", config=SMALL, task=TensorTask()
    )
    task = ImageClassificationTask(
        labels=[str(n) for n in range(10)], height=128, width=128, mode="rgb", mean=[0.5] * 3, std=[0.5] * 3
    )
    save_checkpoint(photo, build_model("convnet", PHOTO), architecture="convnet", config=PHOTO, task=task)
    for name, file in (("small", small), ("photo", photo)):
        torch.save(torch.load(file, weights_only=True)["model_state_dict"], folder / f"stock-{name}.pt")
    return {"small": small, "photo": photo}


def photographs(count: int = 16) -> list[Body]:
    """128 x 128 JPEGs cut from scikit-learn's two photographs."""
    rng = np.random.default_rng(0)
    bodies = []
    for index in range(count):
        image = load_sample_images().images[index % 2]
        top, left = rng.integers(image.shape[0] - 256), rng.integers(image.shape[1] - 256)
        jpeg = io.BytesIO()
        Image.fromarray(image[top : top + 256, left : left + 256]).resize((128, 128)).save(
            jpeg, "JPEG", quality=90
        )
        bodies.append(Body(jpeg.getvalue(), "image/jpeg"))
    return bodies


def under_load(
    plan: LoadPlan,
    pool: ProcessPoolExecutor,
    swap: Callable[[int], Row],
    swaps: int,
    pace_seconds: float,
) -> tuple[LoadResult, list[Row]]:
    """Run the load in a process of its own, and swap meanwhile at the given pace."""
    load: Future[LoadResult] = pool.submit(run, plan)
    began, rows = time.monotonic() + 1, []
    for index in range(swaps):
        time.sleep(max(0.0, began + index * pace_seconds - time.monotonic()))
        rows.append(swap(index))
        if load.done():
            raise SystemExit(
                f"the load ended after {index + 1} of {swaps} swaps: the machine became slower; try again"
            )
    return load.result(), rows


def pace_of(plan: LoadPlan, pool: ProcessPoolExecutor, swap: Callable[[int], Row]) -> float:
    """Return the seconds from one swap to the next: what one takes under this load, and half again."""
    load = pool.submit(run, plan)
    began = time.monotonic()
    for index in range(2):  # an even number: the version that served before serves again
        swap(index)
    pace = 1.5 * (time.monotonic() - began) / 2
    load.result()
    return pace


def compare(
    title: str,
    url: str,
    bodies: list[Body],
    arrivals: Callable[[float], ClosedLoop | OpenLoop],
    swap: Callable[[int], Row],
    options: argparse.Namespace,
    pool: ProcessPoolExecutor,
) -> Row:
    """Measure one load without and with swaps, and say how they differ."""
    pace = pace_of(LoadPlan.for_url(url, bodies, arrivals(TRIAL_SECONDS)), pool, swap)
    plan = LoadPlan.for_url(url, bodies, arrivals(2 + options.swaps * pace))
    quiet, _ = under_load(plan, pool, swap, 0, 0)
    busy, rows = under_load(plan, pool, swap, options.swaps, pace)
    slowest = {"quiet": quiet.latency.max_seconds or 0, "busy": busy.latency.max_seconds or 0}
    return {
        "what": title,
        "requests": busy.answered,
        "failed": busy.failed,
        "failed_without": quiet.failed,
        "p99_ratio": (busy.latency.p99_seconds or 0) / (quiet.latency.p99_seconds or 1),
        "slowest_seconds": slowest["busy"],
        "slowest_ratio": slowest["busy"] / slowest["quiet"],
        "to_flip_seconds": statistics.median(row["to_flip_seconds"] for row in rows),
        "to_gone_seconds": statistics.median(row["to_gone_seconds"] for row in rows),
    }


def our_swap(deployment: Deployment, name: str) -> Callable[[int], Row]:
    """Return a function that swaps for the n-th time, retiring the old version, and tells what it took."""

    def swap(index: int) -> Row:
        return deployment.change("swap", name, VERSIONS[(index + 1) % 2], "--retire")

    return swap


def our_rollback(deployment: Deployment, name: str) -> Callable[[int], Row]:
    """Return a function that rolls back and forth between two loaded versions."""

    def rollback(index: int) -> Row:
        return deployment.change("rollback", name)

    return rollback


def closed(seconds: float) -> ClosedLoop:
    """Return the closed loop of CONNECTIONS."""
    return ClosedLoop(CONNECTIONS, seconds)


def measure_ours(
    options: argparse.Namespace, folder: Path, pool: ProcessPoolExecutor, say: Callable[[str], None]
) -> Iterator[Row]:
    """Yield what our swaps cost, one load after the other."""
    say("publishing two models in two versions each")
    deployment = Deployment(folder)
    small, photos = [vector()], photographs()
    with deployment.serving() as front:
        small_url, photo_url = f"{front}/predictions/small", f"{front}/predictions/photo"
        if "small" in options.only:
            say(f"small network, {CONNECTIONS} connections: swaps")
            swap = our_swap(deployment, "small")
            yield compare("small, swap", small_url, small, closed, swap, options, pool)
        if "rollback" in options.only:
            say(f"small network, {CONNECTIONS} connections: roll-backs")
            deployment.run("swap", "small", VERSIONS[1])
            deployment.run("swap", "small", VERSIONS[0])
            swap = our_rollback(deployment, "small")
            yield compare("small, roll-back", small_url, small, closed, swap, options, pool)
        if "photo" in options.only:
            rate = rate_for(photo_url, photos, pool)
            say(f"convnet on photographs, {rate:.0f} requests/s (70 % of capacity): swaps")
            swap = our_swap(deployment, "photo")
            yield compare("photo, swap", photo_url, photos, lambda s: OpenLoop(rate, s), swap, options, pool)


def measure_documented(
    options: argparse.Namespace, folder: Path, pool: ProcessPoolExecutor, say: Callable[[str], None]
) -> Iterator[Row]:
    """Yield what TorchServe's documented way costs: register and wait, set the default, delete."""
    save_models(folder)
    with StockTorchServe(folder / "stock-small", folder / "stock-small.pt") as stock:
        say(f"small network, {CONNECTIONS} connections: TorchServe's documented way")
        swap = documented_swap(stock)
        yield compare("small, documented way", stock.url, [vector()], closed, swap, options, pool)
    photos = photographs()
    with StockTorchServe(folder / "stock-photo", folder / "stock-photo.pt", STOCK_PHOTO) as stock:
        rate = rate_for(stock.url, photos, pool)
        say(f"convnet on photographs, {rate:.0f} requests/s (70 % of its capacity): the documented way")
        swap = documented_swap(stock)
        yield compare(
            "photo, documented way", stock.url, photos, lambda s: OpenLoop(rate, s), swap, options, pool
        )


def documented_swap(stock: StockTorchServe) -> Callable[[int], Row]:
    """Return a function that swaps for the n-th time as TorchServe's documentation has it."""
    return lambda index: stock.swap(VERSIONS[index % 2], VERSIONS[(index + 1) % 2])


def rate_for(url: str, bodies: list[Body], pool: ProcessPoolExecutor) -> float:
    """Return SHARE_OF_CAPACITY of the requests per second that a server answers at most."""
    capacity = pool.submit(run, LoadPlan.for_url(url, bodies, closed(CAPACITY_SECONDS))).result()
    return SHARE_OF_CAPACITY * capacity.answered / CAPACITY_SECONDS


def vector() -> Body:
    """Return a request of the small network: 784 numbers."""
    numbers = [round(float(x), 4) for x in np.random.default_rng(0).random(784)]
    return Body(json.dumps({"inputs": numbers}).encode(), "application/json")


def print_rows(rows: list[Row], console: Console) -> None:
    """Print the table."""
    table = Table(box=None, header_style="dim")
    headings = (
        "",
        "REQUESTS",
        "FAILED",
        "SLOWEST",
        "× WITHOUT SWAPS",
        "P99 × WITHOUT",
        "TO FLIP",
        "UNTIL GONE",
    )
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            row["what"],
            f"{row['requests']:,}",
            f"{row['failed']:,}",
            f"{row['slowest_seconds'] * 1000:.0f} ms",
            f"{row['slowest_ratio']:.2f}",
            f"{row['p99_ratio']:.2f}",
            f"{row['to_flip_seconds']:.2f} s",
            f"{row['to_gone_seconds']:.2f} s",
        )
    console.print(table)


def main() -> None:
    """Measure and print."""
    end_in_order()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--swaps", type=int, default=20, help="how many under each load")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=MEASURED, help="which of them")
    options = parser.parse_args()
    console, rows = Console(stderr=True, width=120), []

    def say(text: str) -> None:
        console.print(f"· {text}", style="dim")

    with tempfile.TemporaryDirectory(prefix="swaps-") as folder, ProcessPoolExecutor(1) as pool:
        if set(options.only) != {"documented"}:
            for row in measure_ours(options, Path(folder), pool, say):
                rows.append(row)
                print_rows([row], console)
        if "documented" in options.only:
            for row in measure_documented(options, Path(folder), pool, say):
                rows.append(row)
                print_rows([row], console)
    print_rows(rows, Console(width=120))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
