"""The parts of one server that runs. Changes and readers are given them, and each takes what it uses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from statehouse.scripts.access.gate import Gate
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.deployment.snapshots import CodeOnDisk, Snapshots
from statehouse.scripts.servers.addresses import Addresses
from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.servers.server_log import ServerLog
from statehouse.scripts.servers.torchserve import TorchServe
from statehouse.scripts.store import ModelStore
from statehouse.scripts.store.manifest import VersionManifest
from statehouse.scripts.supervisor.change_counts import ChangeCounts
from statehouse.scripts.supervisor.desired_state import DesiredState
from statehouse.scripts.supervisor.doors import Doors
from statehouse.scripts.supervisor.drain import Drain
from statehouse.scripts.supervisor.fleet import Fleet
from statehouse.scripts.supervisor.turn import Turn
from statehouse.scripts.traffic.counts import Traffic
from statehouse.scripts.traffic.outcomes import OutcomeReceiver
from statehouse.scripts.traffic.problem_log import Problems
from statehouse.scripts.traffic.recent import RecentTraffic
from statehouse.scripts.traffic.worker_metrics import MergedWorkerMetrics

NOTHING_IS_SERVED = (
    "no version is served: bring one in with `statehouse swap NAME VERSION`, published first with "
    "`statehouse publish FILE --name NAME --version VERSION`"
)


@dataclass(frozen=True)
class ServerParts:
    """Everything there is one of in a server."""

    # what is wanted, what is loaded, and who may alter it now
    desired: DesiredState
    fleet: Fleet
    turn: Turn
    journal: Journal
    change_counts: ChangeCounts
    drain: Drain
    log: ServerLog
    # the servers, and where things are
    front: Front
    doors: Doors
    torchserve: TorchServe
    gate: Gate
    store: ModelStore
    snapshots: Snapshots
    code_on_disk: CodeOnDisk
    runtime: RuntimeFolder
    addresses: Addresses
    # what is counted
    metrics: MergedWorkerMetrics
    traffic: Traffic
    problems: Problems
    outcomes: OutcomeReceiver
    recent: RecentTraffic

    def what_is_not_up(self) -> list[str]:
        """Return what keeps this from being live: each of the two servers that has ended or does not answer."""
        processes = (self.torchserve.process, self.front.process)
        return [f"{process.title} {why}" for process in processes if (why := process.why_not_up)]

    async def what_is_missing(self) -> list[str]:
        """Return what keeps the server from being ready: nothing when it serves, and every version has proved itself.

        Says so within a second, whatever hangs.
        """
        if self.turn.stopping:
            return ["the server is stopping"]
        if not_up := self.what_is_not_up():
            return not_up
        if not self.desired.deployment.models:
            return [NOTHING_IS_SERVED]
        await self.fleet.glance()
        missing = []
        for name, model in self.desired.deployment.models.items():
            for version in model.versions:
                loaded = self.fleet.versions.get((name, version))
                if loaded is None:
                    missing.append(f"{name} {version}: not loaded yet")
                elif loaded.why_not_ready:
                    missing.append(f"{name} {version}: {loaded.why_not_ready}")
        return missing

    async def code_changed(self, manifest: VersionManifest) -> str | None:
        """Say that the architecture module on disk is not the one that proved a version."""
        modules = self.desired.deployment.architectures
        return await asyncio.to_thread(self.code_on_disk.changed, manifest, modules)
