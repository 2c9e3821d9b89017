"""What clients who behave notice of those who do not: their p99 while each attack goes on, beside their p99 without.

    python -m benchmarks.attacks --seconds 10 --rounds 3

An open loop of well-formed requests to the 784-256-10 network; the attacker is a process of its own, on the same
processors, and goes on as long as the load does. `--without-pause` makes of an attack as much load as one process can:
what comes of that is a question of shares. The goal is a p99 at most doubled. Ratios are those of a round, in which the
load without an attack comes first; the medians over the rounds count.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from tests.support.hostile_clients import (
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
from statehouse.handlers.bodies.multipart import MAX_PARTS
from statehouse.scripts.load_test import LoadPlan, LoadResult, OpenLoop, run

GOAL = 2.0
RATE = 200.0  # requests per second, of those who behave
CROWD = 500
HOLD_SECONDS = 5
BODY = json.dumps({"instances": [[0.5] * 784] * 4}).encode()


# Each attack has one go after the other, and yields for how many seconds it would pause then.


def never_end(url: str) -> Iterator[float]:
    """500 clients stop within headers or body, and wait to be told so."""
    half = request_of(url, BODY)[:-20]
    with clients(url, CROWD // 2, head_of(url)), clients(url, CROWD // 2, half):
        time.sleep(HOLD_SECONDS)
    yield 1


def never_read(url: str) -> Iterator[float]:
    """500 clients, a hundred per second, ask for a few rows and never take their answer."""
    with ExitStack() as asked:
        for _ in range(CROWD):
            asked.enter_context(clients(url, 1, request_of(url, BODY), receive_bytes=2048))
            yield 1 / 100
        time.sleep(HOLD_SECONDS)


def hang_up_early(url: str) -> Iterator[float]:
    """A hundred clients per second leave before their answer."""
    for number in range(100):
        hang_up(url, BODY, number)
        yield 1 / 100


def many_chunks(url: str) -> Iterator[float]:
    """Each second one body in a million chunks."""
    send_and_read(url, chunked_request_of(url, BODY, 1_000_000))
    yield 1


def huge_json(url: str) -> Iterator[float]:
    """Each second a document of 4 to 10 MB that is too deep, too long, or of too many members."""
    for body in HUGE_JSON.values():
        send_and_read(url, request_of(url, body, "Connection: close"))
        yield 1


def many_fields(url: str) -> Iterator[float]:
    """Each second a form of 10,000 fields, or of the most that are read."""
    for fields in (10_000, MAX_PARTS):
        content, content_type = form_of(fields)
        send_and_read(url, request_of(url, content, "Connection: close", content_type=content_type))
        yield 1


def nonsense(url: str) -> Iterator[float]:
    """A hundred times per second bytes that are no HTTP."""
    with connect(url) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\xff\xfe not HTTP\r\n\r\n")
        client.recv(65536)
    yield 1 / 100


ATTACKS: dict[str, Callable[[str], Iterator[float]]] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (never_end, never_read, hang_up_early, many_chunks, huge_json, many_fields, nonsense)
}


def attack_for_ever(name: str, url: str, without_pause: bool) -> None:
    """Attack, and again, until this process is ended."""
    allow_many_connections()
    while True:
        with suppress(OSError):
            for pause_seconds in ATTACKS[name](url):
                time.sleep(0 if without_pause else pause_seconds)


@contextmanager
def under_attack(name: str, url: str, without_pause: bool) -> Iterator[None]:
    """Have a process of its own attack until the end of the block."""
    attack = (name, url, without_pause)
    attacker = get_context("spawn").Process(target=attack_for_ever, args=attack, daemon=True)
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
        with under_attack(name, url, options.without_pause):
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
    parser.add_argument("--without-pause", action="store_true", help="attack as fast as one process can")
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
