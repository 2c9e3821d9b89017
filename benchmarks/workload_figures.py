"""One workload measured: ours, beside it one peer after the other, and the limit that the module sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.check import WrongAnswerError, check_answers
from benchmarks.load import LoadError, Target
from benchmarks.pairs import Comparison, Say, compare
from benchmarks.peers.bentoml import BentoMl
from benchmarks.peers.fastapi import FastApi
from benchmarks.peers.litserve import LitServe
from benchmarks.peers.peer import Peer
from benchmarks.peers.statehouse import Statehouse
from benchmarks.peers.torchserve import TorchServe
from benchmarks.peers.triton import Triton
from benchmarks.processes import PeerUnavailableError
from benchmarks.shares import LARGER, Share, measure_shares
from benchmarks.workloads import Form, Workload, make

PeerT = TypeVar("PeerT", bound=Peer)

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
    """What one workload gave: its cells, who could not be measured and why, and the shares of the module alone."""

    workload: Workload
    comparisons: list[Comparison] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)
    shares: list[Share] = field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "workload": self.workload.name,
            "title": self.workload.title,
            "cells": [cell.to_plain() for cell in self.comparisons],
            "unavailable": self.unavailable,
            "shares": [share.to_plain() for share in self.shares],
        }


@contextmanager
def serving(peer: PeerT, workload: Workload, folder: Path) -> Iterator[PeerT]:
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
        if name in LARGER:
            found.shares = _shares(ours, found.workload, plan, folder, say)
        for peer_name in plan.peers:
            _measure_pair(ours, peer_name, plan, found, folder, say)
    return found


def _measure_pair(ours: Peer, peer_name: str, plan: Plan, found: Found, folder: Path, say: Say) -> None:
    workload = found.workload
    options: dict[str, Any] = {
        "connections": plan.connections,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "say": say,
    }
    say(f"{workload.name}: starting {peer_name}")
    try:
        with serving(PEERS[peer_name](), workload, folder / f"{workload.name}-{peer_name}") as peer:
            targets = _targets(ours, peer, workload)
            options["standing_still"] = peer.standing_still
            found.comparisons += compare(workload.name, peer_name, targets, **options)
    except (PeerUnavailableError, WrongAnswerError, LoadError) as error:
        found.unavailable[peer_name] = str(error)
        say(f"{peer_name}: {error}")


def _targets(ours: Peer, peer: Peer, workload: Workload) -> dict[Form, tuple[Target, Target]]:
    targets: dict[Form, tuple[Target, Target]] = {}
    for form in workload.forms:
        our_target, their_target = ours.target(form), peer.target(form)
        if our_target is not None and their_target is not None:
            check_answers(peer, form, workload)
            targets[form] = (our_target, their_target)
    if not targets:
        raise PeerUnavailableError("takes this workload in no form that it documents")
    return targets


def _shares(ours: Statehouse, workload: Workload, plan: Plan, folder: Path, say: Say) -> list[Share]:
    """Measure ours beside the module alone: by default, and with the optimizations that the workload names."""
    settings = ours.chosen_settings()
    by_default = ", ".join(["by default", *settings["optimizations"]])
    options: dict[str, Any] = {"rounds": plan.rounds, "seconds": plan.seconds, "say": say}
    if not workload.optimizations:
        return measure_shares(workload, {by_default: _own_targets(ours, workload)}, folder, **options)
    say(f"{workload.title}: serving with {', '.join(workload.optimizations)} as well")
    faster = Statehouse(settings=settings | {"optimizations": list(workload.optimizations)})
    with serving(faster, workload, folder / f"{workload.name}-faster"):
        servers = {by_default: ours, ", ".join(workload.optimizations): faster}
        targets = {name: _own_targets(server, workload) for name, server in servers.items()}
        return measure_shares(workload, targets, folder, **options)


def _own_targets(ours: Statehouse, workload: Workload) -> dict[Form, Target]:
    return {form: ours.target(form) for form in workload.forms}
