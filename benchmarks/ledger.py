"""The overhead ledger: what one request costs on its way, each stage containing the one before it, in µs.

    python -m benchmarks.ledger

One request at a time, the small network: the module alone, our handler in this process, a worker of TorchServe through
its own socket, and all of it through the front. The last two contain this client's own sends and reads; requests of
each stage are sent in turn, several rounds, medians.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.load import Target
from benchmarks.peers.statehouse import Statehouse
from benchmarks.processes import end_in_order
from benchmarks.workloads import Form, Workload, make
from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.request import Request
from statehouse.models import load_checkpoint
from statehouse.scripts.servers.private_folder import RuntimeFolder

Stage = Callable[[], object]


class Connection:
    """One kept-alive HTTP/1.1 connection that sends the same bytes again and again."""

    def __init__(self, address: str | tuple[str, int], target: Target, headers: dict[str, str]) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.connect(address)
        if family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = target.bodies[0]
        lines = [f"POST {urlsplit(target.url).path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in {**target.headers, **headers}.items()]
        self._request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def __call__(self) -> bytes:
        """Send the request and return the answer's body; SystemExit unless it is a 200 with a length."""
        self._socket.sendall(self._request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._some()
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the ledger's request was refused: {received!r}")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._some()
        return body

    def _some(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise SystemExit("the server closed the ledger's connection")
        return received


class Served(Protocol):
    """What the ledger needs of a running server."""

    folder: Path
    front: str

    def target(self, form: Form) -> Target | None:
        """Return where requests go."""

    def run(self, *arguments: str) -> str:
        """Run a command."""


def stages_of(workload: Workload, form: Form, server: Served) -> dict[str, Stage]:
    """Return the stages by their names, each a function that answers one request."""
    target = server.target(form)
    if target is None:
        raise SystemExit(f"no {form} requests for {workload.name}")
    checkpoint = load_checkpoint(workload.checkpoint, map_location="cpu")
    handler = CheckpointHandler.from_checkpoint(checkpoint, name=workload.name, version="1.0")
    request = Request(target.bodies[0], target.headers["Content-Type"])
    row = torch.from_numpy(workload.rows[0])[None]
    token = server.run("token").strip()
    own_socket = str(RuntimeFolder.of_deployment(server.folder / "deployment.yaml").inference_socket)
    front = urlsplit(server.front)
    return {
        "module": lambda: handler.module(row),
        "handler, in process": lambda: handler.answer([request]),
        "TorchServe, its own socket": Connection(own_socket, target, {"Authorization": f"Bearer {token}"}),
        "through the front": Connection((front.hostname or "", front.port or 80), target, {}),
    }


def measure(stages: dict[str, Stage], rounds: int, requests: int) -> dict[str, float]:
    """Return each stage's median over the rounds of a round's median, in µs."""
    medians: dict[str, list[float]] = {name: [] for name in stages}
    with torch.inference_mode():
        for _ in range(rounds):
            for name, stage in stages.items():
                medians[name].append(statistics.median(_timed(stage) for _ in range(requests)))
    return {name: statistics.median(found) * 1e6 for name, found in medians.items()}


def print_ledger(found: dict[Form, dict[str, float]], console: Console) -> None:
    """Print each stage with what it adds to the one before."""
    table = Table(
        title="One request, in µs", title_justify="left", title_style="bold", header_style="dim", box=None
    )
    table.add_column("STEP", no_wrap=True)
    for form in found:
        table.add_column(form.upper(), justify="right", no_wrap=True)
        table.add_column("ADDS", justify="right", no_wrap=True)
    before = dict.fromkeys(found, 0.0)
    for stage in next(iter(found.values())):
        cells = []
        for form, ledger in found.items():
            cells += [f"{ledger[stage]:,.0f}", f"[dim]{ledger[stage] - before[form]:+,.0f}[/]"]
            before[form] = ledger[stage]
        table.add_row(stage, *cells)
    console.print(table)


def run(folder: Path, rounds: int, requests: int) -> dict[Form, dict[str, float]]:
    """Serve the small network with default options and return the ledger of both forms."""
    torch.set_num_threads(1)
    workload = make("small", folder)
    server, home = Statehouse(), folder / "ledger"
    home.mkdir()
    try:
        server.start(workload, home)
        return {form: measure(stages_of(workload, form, server), rounds, requests) for form in workload.forms}
    finally:
        server.stop()


def _timed(stage: Stage) -> float:
    began = time.perf_counter()
    stage()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    end_in_order()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=500, help="per stage and round")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        found = run(Path(folder), options.rounds, options.requests)
    print_ledger(found, Console(width=100))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
