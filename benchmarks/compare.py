"""Statehouse beside its peers: the same model, requests and machine, ours and one peer up at a time.

python -m benchmarks.compare                                   # the small network, every peer
python -m benchmarks.compare --peers triton --connections 1,2,4,8,16,32,64 --plot triton.svg
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from benchmarks.check import check_answers
from benchmarks.load import Target, default_generator
from benchmarks.pairs import Comparison, Say, compare
from benchmarks.peers.bentoml import BentoMl
from benchmarks.peers.fastapi import FastApi
from benchmarks.peers.litserve import LitServe
from benchmarks.peers.peer import Peer
from benchmarks.peers.statehouse import Statehouse
from benchmarks.peers.torchserve import TorchServe
from benchmarks.peers.triton import Triton
from benchmarks.processes import PeerUnavailableError
from benchmarks.table import print_comparisons
from benchmarks.workloads import Form, Workload, make

PEERS: dict[str, Callable[[], Peer]] = {
    "triton": Triton,
    "fastapi": FastApi,
    "litserve": LitServe,
    "bentoml": BentoMl,
    "torchserve": TorchServe,
}


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    peers: tuple[str, ...]
    connections: tuple[int, ...]
    rounds: int
    seconds: float


@dataclass
class Found:
    """What one workload gave: its cells, and who could not be measured and why."""

    workload: Workload
    comparisons: list[Comparison] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)


@contextmanager
def serving(peer: Peer, workload: Workload, folder: Path) -> Iterator[Peer]:
    """Run one server for as long as the block runs."""
    folder.mkdir()
    try:
        peer.start(workload, folder)
        yield peer
    finally:
        peer.stop()


def measure_workload(name: str, plan: Plan, folder: Path, say: Say) -> Found:
    """Serve one workload by ours, and beside it by one peer after the other."""
    workload = make(name, folder)
    found = Found(workload)
    say(f"{workload.title}: publishing and serving with default options")
    with serving(Statehouse(), workload, folder / f"{name}-ours") as ours:
        for form in workload.forms:
            check_answers(ours, form, workload)
        for peer_name in plan.peers:
            say(f"{name}: starting {peer_name}")
            try:
                with serving(PEERS[peer_name](), workload, folder / f"{name}-{peer_name}") as peer:
                    targets = _targets(ours, peer, workload)
                    options = {
                        "connections": plan.connections,
                        "rounds": plan.rounds,
                        "seconds": plan.seconds,
                    }
                    found.comparisons += compare(name, peer_name, targets, say=say, **options)
            except PeerUnavailableError as error:
                found.unavailable[peer_name] = str(error)
                say(f"{peer_name}: {error}")
    return found


def _targets(ours: Peer, peer: Peer, workload: Workload) -> dict[Form, tuple[Target, Target]]:
    targets: dict[Form, tuple[Target, Target]] = {}
    for form in workload.forms:
        our_target, their_target = ours.target(form), peer.target(form)
        if our_target is not None and their_target is not None:
            check_answers(peer, form, workload)
            targets[form] = (our_target, their_target)
    return targets


def main() -> None:
    """Measure and print."""
    options = _parse()
    progress, console = Console(stderr=True), Console(width=150)
    plan = Plan(options.peers, options.connections, options.rounds, options.seconds)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = measure_workload(
            "small", plan, Path(folder), lambda text: progress.print(f"· {text}", style="dim")
        )
    print_comparisons(found.workload.title, found.comparisons, found.unavailable, console)
    console.print(
        f"[dim]Medians of {plan.rounds} rounds of {plan.seconds:g} s each, in turn, load by {default_generator()}; "
        "ratios are ours to theirs.[/]"
    )
    if options.json:
        options.json.write_text(json.dumps([cell.to_plain() for cell in found.comparisons], indent=1) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", type=_names, default=tuple(PEERS), help="comma-separated; all by default")
    parser.add_argument("--connections", type=_numbers, default=(1, 8, 64), help="comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--json", type=Path, help="write every figure here as well")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = set(names) - set(PEERS)
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}"
        )
    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
