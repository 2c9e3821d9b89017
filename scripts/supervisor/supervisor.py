"""The supervisor: puts the parts of a server together, starts TorchServe and the front, and stops them.

It alone writes deployment.yaml and talks to TorchServe's management API and to the front; the commands ask it over
its control socket, readers over 127.0.0.1:8090. What is loaded: fleet.py. What is wanted: desired_state.py.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from statehouse.models.errors import StatehouseError
from statehouse.scripts.access.gate import Gate
from statehouse.scripts.deployment.file import Deployment, DeploymentFile, ModelDeployment
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.deployment.snapshots import CodeOnDisk, Snapshots
from statehouse.scripts.errors import ServerEndedError, StoreError
from statehouse.scripts.progress import Report, Step
from statehouse.scripts.servers.addresses import Addresses, address_of, concrete, listener
from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.servers.log_file import log_file_of
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.servers.server_log import ServerLog
from statehouse.scripts.servers.torchserve import TorchServe
from statehouse.scripts.store import ModelStore, open_store
from statehouse.scripts.supervisor.change_counts import ChangeCounts
from statehouse.scripts.supervisor.desired_state import DesiredState
from statehouse.scripts.supervisor.doors import Doors
from statehouse.scripts.supervisor.drain import Drain
from statehouse.scripts.supervisor.fleet import Fleet, OnForget
from statehouse.scripts.supervisor.loaded_version import why_for_clients
from statehouse.scripts.supervisor.loader import VersionLoader
from statehouse.scripts.supervisor.parts import ServerParts
from statehouse.scripts.supervisor.turn import Turn
from statehouse.scripts.traffic.counts import Traffic
from statehouse.scripts.traffic.outcomes import OutcomeReceiver
from statehouse.scripts.traffic.problem_log import Problems, RequestLog
from statehouse.scripts.traffic.recent import RecentTraffic, look_at
from statehouse.scripts.traffic.worker_metrics import MergedWorkerMetrics

DRAIN_SECONDS = 10
ENDED_SECONDS = 0.5


class Supervisor:
    """The life of one server."""

    def __init__(
        self,
        parts: ServerParts,
        *,
        front_listener: socket.socket,
        reader_listener: socket.socket,
    ) -> None:
        self.parts = parts
        self.front_listener = front_listener
        self.reader_listener = reader_listener
        self._watching_doors: asyncio.Task[None] | None = None

    @classmethod
    def compose(
        cls,
        deployment_file: Path,
        deployment: Deployment,
        runtime: RuntimeFolder,
        *,
        say: Callable[[str], None],
        log_requests: bool = False,
    ) -> Self:
        """Bind the listeners and put the parts together; nothing is started yet.

        Raises ServerError when an address is taken, or a certificate or the keys cannot be read.
        """
        gate = Gate(deployment_file, deployment.access, runtime)
        log = ServerLog(log_file_of(deployment_file), say)
        front_listener = listener("front", deployment.listen.front)
        reader_listener = listener("reader", deployment.listen.reader)
        addresses = Addresses(
            front=address_of(front_listener),
            reader=address_of(reader_listener),
            grpc=concrete("grpc", deployment.listen.grpc),
            front_has_tls=gate.has_certificate,
        )
        journal = Journal(deployment_file)
        desired = DesiredState(deployment, DeploymentFile(deployment_file), journal)
        limits = deployment.limits
        store = open_store(deployment.store_address(deployment_file), max_cache_bytes=limits.max_cache_bytes)
        torchserve = TorchServe(
            runtime,
            grpc_address=addresses.grpc,
            grpc_management_port=concrete("grpc", "127.0.0.1:0")[1],
            max_request_bytes=limits.max_request_bytes,
            python_path=[deployment_file.resolve().parent],
            on_line=log.torchserve_line,
            say=log.say,
        )
        front = Front(
            runtime,
            supervisor_address="{}:{}".format(*addresses.reader),
            max_request_bytes=limits.max_request_bytes,
            request_timeout_seconds=limits.request_timeout_seconds,
            on_line=log.front_line,
            say=log.say,
            log_requests=log_requests,
            has_certificate=gate.has_certificate,
            asks_for_keys=gate.asks_for_keys,
            connections_per_address=gate.connections_per_address,
            slots=limits.slots,
        )
        gate.tell_before_its_start(front)
        snapshots = Snapshots.of_deployment(deployment_file)
        loader = VersionLoader(
            runtime,
            torchserve,
            log,
            store=store,
            snapshots=snapshots,
            architectures=lambda: desired.deployment.architectures,
            max_request_bytes=limits.max_request_bytes,
            request_timeout_seconds=limits.request_timeout_seconds,
            say=log.say,
        )
        doors = Doors(
            runtime.doors, front, request_timeout_seconds=limits.request_timeout_seconds, say=log.say
        )
        traffic = Traffic()
        problems = Problems(
            RequestLog(deployment_file.with_suffix(".problems.jsonl")),
            is_loaded=lambda name, version: (name, version) in fleet.versions,
            requests=RequestLog(deployment_file.with_suffix(".requests.jsonl")) if log_requests else None,
        )
        metrics = MergedWorkerMetrics(runtime.metrics)
        fleet = Fleet(
            front,
            torchserve,
            doors,
            loader,
            on_forget=_forgets(metrics, store, problems, traffic, lambda: fleet),
        )
        parts = ServerParts(
            desired=desired,
            fleet=fleet,
            turn=Turn(),
            log=log,
            journal=journal,
            change_counts=ChangeCounts(),
            drain=Drain(front, torchserve, metrics),
            front=front,
            doors=doors,
            torchserve=torchserve,
            gate=gate,
            store=store,
            snapshots=snapshots,
            code_on_disk=CodeOnDisk(deployment_file.resolve().parent),
            runtime=runtime,
            addresses=addresses,
            metrics=metrics,
            traffic=traffic,
            problems=problems,
            outcomes=OutcomeReceiver(runtime.outcomes_socket, problems.take),
            recent=RecentTraffic(lambda: look_at(metrics, problems, list(fleet.versions)), time.monotonic()),
        )
        return cls(parts, front_listener=front_listener, reader_listener=reader_listener)

    async def start(self, report: Report) -> None:
        """Start both servers and bring up every version of the deployment; report those that cannot start."""
        began = time.monotonic()
        for name, model in self.parts.desired.deployment.models.items():
            self.parts.front.expect(name, model.versions, model.default)  # nobody is told 404 meanwhile
            self.parts.fleet.expect(name, model.versions)
        async with self.parts.turn.lock:  # before anybody can ask for a change
            await self.parts.front.start(self.front_listener)
            self._watching_doors = asyncio.create_task(self.parts.doors.watch())
            url = self.parts.addresses.url("front")
            report(Step("front", f"front on {url}", time.monotonic() - began))
            await self.start_torchserve(report)

    async def start_torchserve(self, report: Report) -> None:
        """Start TorchServe and load all that is desired; requests for what was served before wait meanwhile."""
        front, torchserve = self.parts.front, self.parts.torchserve
        models = self.parts.desired.deployment.models
        for name, model in models.items():
            for version in model.versions:
                await front.hold(name, version)
        began = time.monotonic()
        await torchserve.start()
        report(Step("torchserve", "TorchServe 0.12.0", time.monotonic() - began))
        async with asyncio.TaskGroup() as group:
            for name, model in models.items():
                group.create_task(self._restore(name, model, report))

    async def _restore(self, name: str, model: ModelDeployment, report: Report) -> None:
        fleet, front = self.parts.fleet, self.parts.front
        # TorchServe takes the version that it is told first for its default: the default goes first.
        for version in sorted(model.versions, key=lambda version: version != model.default):
            began = time.monotonic()
            try:
                loaded = await fleet.load(name, version, model.versions[version])
                if version == model.default:
                    await fleet.flip(loaded)
            except (StatehouseError, OSError) as error:
                # Where TorchServe has ended again, it is started again: then requests go on waiting.
                if isinstance(error, StoreError) or not await self._torchserve_ends():
                    await front.set_down(name, version, why=why_for_clients(error))
                if version == model.default:
                    await front.set_default(name, version)
                report(Step("load", str(error), time.monotonic() - began, state="failed"))
            else:
                report(Step("load", f"{name} {version}", time.monotonic() - began))

    async def _torchserve_ends(self) -> bool:
        """Whether it has ended; that it does not answer is known before that is."""
        try:
            await self.parts.torchserve.process.refuse_ended(within_seconds=ENDED_SECONDS)
        except ServerEndedError:
            return True
        return False

    async def stop(self) -> None:
        """Stop what is being changed, accept no more, let what is in flight be answered, end both servers."""
        await self.parts.turn.stop()
        self.front_listener.close()
        await self.parts.front.drain()
        await self._wait_until_idle()
        if self._watching_doors is not None:
            self._watching_doors.cancel()
        await self.parts.torchserve.stop()
        self.parts.outcomes.close()
        self.parts.log.step(Step("stop", "the servers have stopped"))
        self.parts.log.close()

    async def _wait_until_idle(self) -> None:
        # What the front does not see: gRPC.
        fleet, metrics = self.parts.fleet, self.parts.metrics
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.parts.torchserve.process.running and time.monotonic() < deadline:
            await fleet.look(fresh=True)
            queued = sum(loaded.status.queued_requests for loaded in fleet.versions.values())
            if queued == 0 and metrics.rows_in_flight() == 0:
                return
            await asyncio.sleep(0.1)


def _forgets(
    metrics: MergedWorkerMetrics,
    store: ModelStore,
    problems: Problems,
    traffic: Traffic,
    fleet: Callable[[], Fleet],
) -> OnForget:
    """Return what drops all that is kept of a version that is listed no more."""

    def forget(name: str, version: str, next_generation: int) -> None:
        metrics.forget(name, version)
        store.keep_only(fleet().versions.keys())
        problems.forget(name, version)
        traffic.begin(name, version, next_generation)

    return forget
