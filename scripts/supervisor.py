"""The supervisor: starts TorchServe and the front, makes the deployment true, and knows what is ready.

It alone writes deployment.yaml and talks to TorchServe's management API and to the front; the
commands ask it over its control socket, readers over 127.0.0.1:8090.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import StatehouseError
from scripts.access.gate import Gate
from scripts.addresses import Addresses, address_of, concrete, listener
from scripts.change_counts import ChangeCounts
from scripts.deployment import (
    Deployment,
    ModelDeployment,
    VersionSettings,
    deployment_content,
    write_deployment,
)
from scripts.desired import holds
from scripts.errors import EditedDeploymentError, TorchServeError
from scripts.front import Front
from scripts.journal import Journal
from scripts.loaded_version import LoadedVersion, VersionState
from scripts.loading import VersionLoader
from scripts.metrics.traffic import Traffic
from scripts.metrics.workers import WorkerMetrics
from scripts.outcomes import OutcomeReceiver
from scripts.problems import Problems, RequestLog
from scripts.runtime import RuntimeFolder
from scripts.server_log import ServerLog
from scripts.steps import Report, Step
from scripts.store import open_store
from scripts.torchserve import LaneStatus, TorchServe

# Callers of /ready, /status and the like share one look at TorchServe within this time.
FRESH_SECONDS = 0.25
DRAIN_SECONDS = 10


class Supervisor:
    """One deployment, served."""

    def __init__(
        self,
        deployment_file: Path,
        deployment: Deployment,
        runtime: RuntimeFolder,
        *,
        say: Callable[[str], None],
        log_requests: bool = False,
    ) -> None:
        self.deployment_file = deployment_file
        self.deployment = deployment
        self.runtime = runtime
        self.gate = Gate(deployment_file, deployment.access, runtime)
        self.log = ServerLog(runtime.path / "servers.log", say)
        self.front_listener = listener("front", deployment.listen.front)
        self.reader_listener = listener("reader", deployment.listen.reader)
        self.addresses = Addresses(
            front=address_of(self.front_listener),
            reader=address_of(self.reader_listener),
            grpc=concrete("grpc", deployment.listen.grpc),
            front_has_tls=self.gate.has_certificate,
        )
        self.store = open_store(
            deployment.store_address(deployment_file), max_cache_bytes=deployment.limits.max_cache_bytes
        )
        self.metrics = WorkerMetrics(runtime.metrics)
        self.changing = asyncio.Lock()
        self.versions: dict[tuple[str, str], LoadedVersion] = {}
        self.stopping = False
        self.running_change: str | None = None
        self.change_task: asyncio.Task[Any] | None = None
        self.journal = Journal(deployment_file)
        self.change_counts = ChangeCounts()
        self.traffic = Traffic()
        self.problems = Problems(
            RequestLog(deployment_file.with_suffix(".problems.jsonl")),
            is_loaded=lambda name, version: (name, version) in self.versions,
        )
        self.outcomes = OutcomeReceiver(runtime.outcomes_socket, self.problems.take)
        self.deployment_as_written = self._deployment_content()
        self._generations: dict[tuple[str, str], int] = {}
        self._looked = 0.0
        self._look_lock = asyncio.Lock()
        limits = deployment.limits
        self.torchserve = TorchServe(
            runtime,
            grpc_address=self.addresses.grpc,
            grpc_management_port=concrete("grpc", "127.0.0.1:0")[1],
            max_request_bytes=limits.max_request_bytes,
            python_path=[deployment_file.resolve().parent],
            on_line=self.log.torchserve_line,
        )
        self.front = Front(
            runtime,
            supervisor_address="{}:{}".format(*self.addresses.reader),
            max_request_bytes=limits.max_request_bytes,
            request_timeout_seconds=limits.request_timeout_seconds,
            on_line=self.log.front_line,
            log_requests=log_requests,
            has_certificate=self.gate.has_certificate,
            asks_for_keys=self.gate.asks_for_keys,
            connections_per_address=self.gate.connections_per_address,
        )
        self.gate.tell_before_its_start(self.front)
        self.loader = VersionLoader(
            runtime,
            self.torchserve,
            self.log,
            store=self.store,
            architectures=deployment.architectures,
            response_timeout_seconds=limits.request_timeout_seconds,
            say=say,
        )

    # -- start and stop

    async def start(self, report: Report) -> None:
        """Start both servers and bring up every version of the deployment; report those that cannot start."""
        began = time.monotonic()
        await self.front.start(self.front_listener)
        report(Step("front", f"front on {self.addresses.url('front')}", time.monotonic() - began))
        async with self.changing:
            await self.start_torchserve(report)

    async def start_torchserve(self, report: Report) -> None:
        """Start TorchServe and load all that is desired; requests for what was served before wait meanwhile."""
        for name, model in self.deployment.models.items():
            for version in model.versions:
                await self.front.hold(name, version)
        began = time.monotonic()
        await self.torchserve.start()
        await self.front.set_token(self.torchserve.inference_token())
        report(Step("torchserve", "TorchServe 0.12.0", time.monotonic() - began))
        async with asyncio.TaskGroup() as group:
            for name, model in self.deployment.models.items():
                group.create_task(self._restore(name, model, report))

    async def _restore(self, name: str, model: ModelDeployment, report: Report) -> None:
        # TorchServe takes the version that it is told first for its default: the default goes first.
        for version in sorted(model.versions, key=lambda version: version != model.default):
            began = time.monotonic()
            try:
                loaded = await self.load(name, version, model.versions[version])
                if version == model.default:
                    await self.flip(loaded)
            except (StatehouseError, OSError) as error:
                # Where TorchServe has ended again, it is started again: then requests go on waiting.
                if self.torchserve.process.running:
                    await self.front.set_down(name, version)
                if version == model.default:
                    await self.front.set_default(name, version)
                report(Step("load", str(error), time.monotonic() - began, state="failed"))
            else:
                report(Step("load", f"{name} {version}", time.monotonic() - began))

    async def stop(self) -> None:
        """Stop what is being changed, accept no more, let what is in flight be answered, end both servers."""
        self.stopping = True
        if self.change_task is not None:
            self.change_task.cancel()
            await asyncio.wait([self.change_task])
        self.front_listener.close()
        await self.front.drain()
        await self._wait_until_idle()
        await self.torchserve.stop()
        self.outcomes.close()
        self.log.close()

    async def _wait_until_idle(self) -> None:
        # What the front does not see: gRPC.
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.torchserve.process.running and time.monotonic() < deadline:
            await self.look(fresh=True)
            queued = sum(loaded.queued_requests for loaded in self.versions.values())
            if queued == 0 and self.metrics.rows_in_flight() == 0:
                return
            await asyncio.sleep(0.1)

    # -- the steps of which every change is made; the caller holds `changing`

    async def load(self, name: str, version: str, settings: VersionSettings) -> LoadedVersion:
        """Bring a version up until it has proved itself, and let requests that name it through.

        Raises StoreError, VersionStartError or TorchServeError; the failed version stays listed, with its
        reason, until it is forgotten.
        """
        loaded = self.versions[name, version] = LoadedVersion(
            name, version, settings, generation=self._next_generation(name, version)
        )
        try:
            await self.loader.load(loaded)
        except Exception as error:
            loaded.state, loaded.reason = VersionState.FAILED, str(error)
            raise
        await self.let_through(loaded)
        return loaded

    def successor_of(self, loaded: LoadedVersion, settings: VersionSettings | None = None) -> LoadedVersion:
        """Return a fresh lane of the same version, to be loaded beside it."""
        generation = self._next_generation(loaded.name, loaded.version)
        return LoadedVersion(loaded.name, loaded.version, settings or loaded.settings, generation=generation)

    async def put_in_place(self, fresh: LoadedVersion) -> None:
        """Send a version's requests to a fresh lane of it, which has proved itself."""
        self.versions[fresh.name, fresh.version] = fresh
        await self.let_through(fresh)
        if self.front.default_of(fresh.name) == fresh.version:
            await self.flip(fresh)

    async def let_through(self, loaded: LoadedVersion) -> None:
        """Send requests that name a version to its lanes, those that have a worker."""
        digest = loaded.published.digest if loaded.published else ""
        lanes = [(lane.torchserve_version, lane.up_to) for lane in loaded.usable_lanes]
        await self.front.set_lanes(
            *(loaded.name, loaded.version, lanes),
            loading=loaded.loading,
            digest=digest,
            at_once=loaded.usable_lanes[-1].batch_size * loaded.settings.workers,
            large_apart=loaded.settings.workers == 1,
        )

    async def flip(self, loaded: LoadedVersion) -> None:
        """Send requests without a version to this one from now on, gRPC's as well."""
        await self.torchserve.set_default(loaded.default_lane)
        await self.front.set_default(loaded.name, loaded.version)

    async def go_back(self, name: str, version: str, desired: Deployment) -> None:
        """Flip back, also where that cannot be written or told: what is served matters more.

        Raises what ``desire`` and TorchServe raise, once requests go to ``version`` again.
        """
        await self.front.set_default(name, version)
        self.deployment = desired
        try:
            self.desire(desired)
        finally:
            await self._assert_default(name)

    async def _assert_default(self, name: str, *, but: LoadedVersion | None = None) -> None:
        """Make TorchServe's default, which gRPC gets and DELETE refuses, one that stays."""
        working = [each for each in self.versions.values() if each.name == name and each.works]
        staying = [each for each in working if each is not but]
        default = self.front.default_of(name)
        for each in sorted(staying, key=lambda each: each.version != default)[:1]:
            if self.torchserve.process.running:
                await self.torchserve.set_default(each.default_lane)

    async def refuse_retired(self, loaded: LoadedVersion) -> None:
        """Refuse requests that name a version, and those that name none if it was the default."""
        await self.front.remove_lane(loaded.name, loaded.version, retired=True)
        if self.front.default_of(loaded.name) == loaded.version:
            await self.front.remove_default(loaded.name)

    async def unload(self, loaded: LoadedVersion) -> None:
        """Take a version out of the front, of TorchServe, of the list and of the metrics."""
        await self.front.remove_lane(loaded.name, loaded.version)
        await self.stop_version(loaded)
        self.forget(loaded.name, loaded.version)

    async def stop_version(self, loaded: LoadedVersion) -> None:
        """Take a version out of TorchServe; it stays listed."""
        registered = loaded.state not in (VersionState.FAILED, VersionState.STOPPED)
        loaded.state = VersionState.STOPPED
        if registered:
            await self._assert_default(loaded.name, but=loaded)
            await self.loader.unload(loaded)

    def forget(self, name: str, version: str) -> None:
        """List a version no more, and drop its metrics."""
        loaded = self.versions.pop((name, version), None)
        if loaded is not None:
            shutil.rmtree(self.runtime.metrics / f"{name}-{version}", ignore_errors=True)
            self.store.keep_only(self.versions.keys())
            self.problems.forget(name, version)
            self.traffic.begin(name, version, self._generations[name, version] + 1)

    def _next_generation(self, name: str, version: str) -> int:
        # A lane's name is used once in one TorchServe: DELETE returns before all of it is gone.
        used = self._generations.get((name, version), -1) + 1
        self._generations[name, version] = used
        return used

    # -- the desired state

    def desire(self, deployment: Deployment) -> None:
        """Make ``deployment`` the desired state, in the file first.

        Raises EditedDeploymentError rather than write over somebody's edit, DeploymentWriteError when it cannot
        be written; then both are as they were.
        """
        if self.deployment_was_edited():
            raise EditedDeploymentError(
                f"{self.deployment_file} was edited and is not applied: run `statehouse apply`, or undo the edit."
            )
        self.journal.expect(deployment_content(deployment))
        write_deployment(self.deployment_file, deployment)
        self.deployment = deployment
        self.accept_edit()

    async def settle(self, deployment: Deployment) -> None:
        """Desire what a change leads to that cannot go on, because TorchServe has ended or the server stops.

        Nothing is loaded now, or will be in a moment: a start loads what is desired, and what is not is listed no
        more. Raises what ``desire`` raises, once all is as ``deployment`` says but the file.
        """
        before, self.deployment = self.deployment, deployment
        try:
            self.desire(deployment)
        finally:
            if not self.stopping:
                await self._route_as_desired(before)

    async def _route_as_desired(self, before: Deployment) -> None:
        for name in before.models.keys() | self.deployment.models.keys():
            model = self.deployment.models.get(name)
            await self.front.remove_canary(name)
            if model is None:
                await self.front.remove_default(name)
            else:
                await self.front.set_default(name, model.default)
        for loaded in list(self.versions.values()):
            if not holds(self.deployment, loaded.name, loaded.version):
                retired = holds(before, loaded.name, loaded.version)
                await self.front.remove_lane(loaded.name, loaded.version, retired=retired)
                self.forget(loaded.name, loaded.version)

    def accept_edit(self) -> bytes | None:
        """Take the file as it is now for known, and return it."""
        self.deployment_as_written = self._deployment_content()
        return self.deployment_as_written

    def deployment_was_edited(self) -> bool:
        """Whether somebody else has written deployment.yaml since it was read or written here."""
        return self._deployment_content() != self.deployment_as_written

    def _deployment_content(self) -> bytes | None:
        try:
            return self.deployment_file.read_bytes()
        except FileNotFoundError:
            return None

    # -- what is

    async def look(self, *, fresh: bool = False) -> None:
        """Ask TorchServe for the workers of every version, at most once per FRESH_SECONDS."""
        async with self._look_lock:
            if not fresh and time.monotonic() - self._looked < FRESH_SECONDS:
                return
            for loaded in list(self.versions.values()):
                await self._observe(loaded)
            self._looked = time.monotonic()

    async def look_at_traffic(self) -> None:
        """Take what the front and TorchServe have counted by now."""
        statistics, measured = await asyncio.gather(self.front.statistics(), self.torchserve.measured())
        if statistics is not None:
            self.traffic.take_front(statistics)
        if measured is not None:
            self.traffic.take_torchserve(measured)

    async def _observe(self, loaded: LoadedVersion) -> None:
        if not loaded.works:
            return
        for lane in loaded.lanes:
            try:
                status = await self.torchserve.describe(lane)
            except TorchServeError:
                # It, or TorchServe, has ended meanwhile: whoever ended it or starts it again says what it is now.
                if not loaded.works or not self.torchserve.process.running:
                    return
                status = LaneStatus((), 0)
            loaded.observe(lane, status)

    async def what_is_missing(self) -> list[str]:
        """Return what keeps the server from being ready: nothing when every version has proved itself."""
        if self.stopping:
            return ["the server is stopping"]
        dead = [
            server.process.title for server in (self.torchserve, self.front) if not server.process.running
        ]
        if dead:
            return [f"{title} is not running" for title in dead]
        await self.look()
        missing = []
        for name, model in self.deployment.models.items():
            for version in model.versions:
                loaded = self.versions.get((name, version))
                if loaded is None:
                    missing.append(f"{name} {version}: not loaded yet")
                elif loaded.state is not VersionState.READY:
                    missing.append(f"{name} {version}: {_why_not_ready(loaded)}")
        return missing


def _why_not_ready(loaded: LoadedVersion) -> str:
    if loaded.state is VersionState.FAILED:
        return loaded.reason or "failed"
    return f"{loaded.ready_workers} of {loaded.settings.total_workers} workers are ready"
