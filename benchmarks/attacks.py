"""What clients who behave notice of those who do not: their p99 while each attack goes on, beside their p99 without.

    python -m benchmarks.attacks --seconds 10 --rounds 3

An open loop of well-formed requests to the 784-256-10 network; the attacker is a process of its own, on the same
processors, and does the same again as long as the load goes on. The goal is a p99 at most doubled. Ratios are those of
a round, in which the load without an attack comes first; the medians over the rounds count.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.hostile_clients import (
    HUGE_JSON,
    allow_many_connections,
    chunked_request_of,
    clients,
    connect,
    form_of,
    hang_up,
    head_of,
    request_of,
    send_and_read,
)
from benchmarks.processes import end_in_order
from benchmarks.swaps import Deployment, vector
from scripts.load_test import LoadPlan, LoadResult, OpenLoop, run

GOAL = 2.0
RATE = 200.0  # requests per second, of those who behave
CROWD = 500
BODY = json.dumps({"instances": [[0.5] * 784] * 4}).encode()


def never_end(url: str) -> None:
    """500 clients stop within headers or body, and wait to be told so."""
    half = request_of(url, BODY)[:-20]
    with clients(url, CROWD // 2, head_of(url)), clients(url, CROWD // 2, half):
        time.sleep(5)


def never_read(url: str) -> None:
    """500 clients ask for a large answer and take none of it."""
    many = json.dumps({"instances": [[0.5] * 784] * 50}).encode()
    with clients(url, CROWD, request_of(url, many), receive_bytes=2048):
        time.sleep(5)


def hang_up_early(url: str) -> None:
    """100 clients, one after the other, leave before their answer."""
    for number in range(100):
        hang_up(url, BODY, number)


def many_chunks(url: str) -> None:
    """One body in a million chunks."""
    send_and_read(url, chunked_request_of(url, BODY, 1_000_000))


def huge_json(url: str) -> None:
    """Documents of 2 to 10 MB that are too deep, too long, or of too many members."""
    for body in HUGE_JSON.values():
        send_and_read(url, request_of(url, body, "Connection: close"))


def many_fields(url: str) -> None:
    """A form of 10,000 fields."""
    content, content_type = form_of(10_000)
    send_and_read(url, request_of(url, content, "Connection: close", content_type=content_type))


def nonsense(url: str) -> None:
    """Bytes that are no HTTP."""
    with connect(url) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\xff\xfe not HTTP\r\n\r\n")
        client.recv(65536)


ATTACKS: dict[str, Callable[[str], None]] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (never_end, never_read, hang_up_early, many_chunks, huge_json, many_fields, nonsense)
}


def attack_for_ever(name: str, url: str) -> None:
    """Attack until this process is ended."""
    allow_many_connections()
    while True:
        with suppress(OSError):
            ATTACKS[name](url)


@contextmanager
def under_attack(name: str, url: str) -> Iterator[None]:
    """Have a process of its own attack until the end of the block."""
    attacker = get_context("spawn").Process(target=attack_for_ever, args=(name, url), daemon=True)
    attacker.start()
    time.sleep(2)  # for its start
    try:
        yield
    finally:
        attacker.kill()
        attacker.join()


def row_of(name: str, url: str, options: argparse.Namespace, pool: ProcessPoolExecutor) -> tuple[str, ...]:
    """Measure one attack; return its row of the table."""
    plan = LoadPlan.for_url(url, [vector()], OpenLoop(options.rate, options.seconds))
    ratios: list[float] = []
    results: list[tuple[LoadResult, LoadResult]] = []
    for _ in range(options.rounds):
        quiet = pool.submit(run, plan).result()
        with under_attack(name, url):
            busy = pool.submit(run, plan).result()
        time.sleep(2)  # what it has left behind is worked off
        results.append((quiet, busy))
        ratios.append((busy.latency.p99_seconds or 0) / (quiet.latency.p99_seconds or 1))
    quiet_ms, busy_ms = (
        1000 * median(pair[side].latency.p99_seconds or 0 for pair in results) for side in (0, 1)
    )
    ratio = median(ratios)
    failed = sum(busy.failed for _, busy in results)
    met = "✓" if ratio <= GOAL and not failed else "✗"
    return (name, f"{failed:,}", f"{quiet_ms:.1f} ms", f"{busy_ms:.1f} ms", f"{ratio:.2f}", met)


def main() -> None:
    """Measure and print."""
    end_in_order()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of load, with and without")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second of those who behave")
    parser.add_argument("--only", nargs="+", choices=ATTACKS, default=list(ATTACKS), help="which attacks")
    options = parser.parse_args()
    progress = Console(stderr=True)
    table = Table(box=None, header_style="dim")
    for index, heading in enumerate(("ATTACK", "FAILED", "P99 WITHOUT", "P99 WITH", "RATIO", "≤ 2")):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    with (
        tempfile.TemporaryDirectory(prefix="attacks-") as folder,
        ProcessPoolExecutor(1) as pool,
        Deployment(Path(folder)).serving() as front,
    ):
        url = f"{front}/predictions/small"
        pool.submit(run, LoadPlan.for_url(url, [vector()], OpenLoop(options.rate, 3))).result()
        for name in options.only:
            progress.print(f"· {name}: {(ATTACKS[name].__doc__ or '').rstrip('.')}", style="dim")
            table.add_row(*row_of(name, url, options, pool))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
