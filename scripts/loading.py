"""One version into TorchServe: check its files, register its lane, wait until it has proved itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from handlers.settings import FileIdentity, WorkerSettings
from scripts.deployment import VersionSettings
from scripts.errors import ServerError, TorchServeError, VersionStartError
from scripts.runtime import RuntimeFolder
from scripts.server_log import ServerLog
from scripts.store import ModelStore, PublishedVersion
from scripts.torchserve import Lane, LaneStatus, TorchServe

START_TIMEOUT_SECONDS = 300
POLL_SECONDS = 0.1
LAST_WORDS_SECONDS = 0.5


class VersionState(StrEnum):
    """Where a version of the deployment stands."""

    LOADING = "LOADING"
    READY = "READY"
    DEGRADED = "DEGRADED"  # it has proved itself, and has fewer workers now than it should
    FAILED = "FAILED"
    STOPPED = "STOPPED"  # to make room for another


@dataclass
class LoadedVersion:
    """What the supervisor knows of one version that it was told to load."""

    name: str
    version: str
    settings: VersionSettings
    state: VersionState = VersionState.LOADING
    reason: str | None = None
    published: PublishedVersion | None = None
    status: LaneStatus = field(default_factory=lambda: LaneStatus((), 0))
    load_seconds: float | None = None
    generation: int = 0

    @property
    def works(self) -> bool:
        """Whether it has proved itself and was not stopped."""
        return self.state in (VersionState.READY, VersionState.DEGRADED)

    @property
    def lane(self) -> Lane:
        """Its one lane."""
        return Lane(
            self.name,
            self.version,
            batch_size=self.settings.batch_size,
            max_batch_delay_ms=self.settings.max_batch_delay_ms,
            workers=self.settings.workers,
            generation=self.generation,
        )

    @property
    def metrics_folder(self) -> str:
        """The folder of its workers' metrics, below the runtime folder's: one per lane of a version."""
        return f"{self.name}-{self.version}/{self.lane.torchserve_version}"

    @property
    def device(self) -> str:
        """Where its workers hold the module."""
        return "cuda" if any(worker.on_gpu for worker in self.status.workers) else "cpu"

    def observe(self, status: LaneStatus) -> None:
        """Take what TorchServe says of its workers now."""
        self.status = status
        if self.works:
            enough = status.ready_workers >= self.settings.workers
            self.state = VersionState.READY if enough else VersionState.DEGRADED


class VersionLoader:
    """Loads and unloads versions in a running TorchServe."""

    def __init__(
        self,
        runtime: RuntimeFolder,
        torchserve: TorchServe,
        log: ServerLog,
        *,
        store: ModelStore,
        architectures: Sequence[str],
        response_timeout_seconds: int,
    ) -> None:
        self._runtime = runtime
        self._torchserve = torchserve
        self._log = log
        self._store = store
        self._architectures = list(architectures)
        self._response_timeout_seconds = response_timeout_seconds

    async def load(self, loaded: LoadedVersion) -> None:
        """Bring a version up; on return all its workers have answered its golden examples.

        Raises StoreError when its files are not as published, VersionStartError with the worker's
        own reason when it cannot start. In both cases nothing of it is left in TorchServe.
        """
        began = time.monotonic()
        loaded.published = self._store.get(loaded.name, loaded.version)
        # Reading and hashing the files takes seconds per gigabyte: never in the event loop.
        identities = await asyncio.to_thread(self._store.verify, loaded.published)
        lane = loaded.lane
        self._log.forget(lane.name, lane.torchserve_version)
        self._failure_file(lane).unlink(missing_ok=True)
        self._prepare(loaded, {k: FileIdentity(**v._asdict()) for k, v in identities.items()})
        try:
            await self._torchserve.register(lane, response_timeout_seconds=self._response_timeout_seconds)
            await self._wait_until_proved(loaded)
        except BaseException:
            await self._remove(lane)
            raise
        loaded.load_seconds = time.monotonic() - began
        loaded.state = VersionState.READY

    def _prepare(self, loaded: LoadedVersion, identities: dict[str, FileIdentity]) -> None:
        published = loaded.published
        if published is None:
            raise ServerError(f"{loaded.name} {loaded.version} has not been looked up in the model store.")
        handler = f"handlers.{published.manifest.task}"
        try:
            settings = self._worker_settings(loaded, published, identities)
            self._torchserve.prepare(loaded.lane, handler=handler, settings=settings.model_dump_json())
        except OSError as error:
            self._torchserve.discard(loaded.lane)
            raise VersionStartError(f"{loaded.name} {loaded.version} cannot be prepared: {error}.") from error

    async def unload(self, loaded: LoadedVersion) -> None:
        """Take a version out of TorchServe; it must be idle, or what is in flight in it fails."""
        await self._remove(loaded.lane)

    async def _remove(self, lane: Lane) -> None:
        try:
            await self._torchserve.unregister(lane)
        except TorchServeError:
            # Java may have died meanwhile, and everything in it with it.
            if self._torchserve.process.running:
                raise
        finally:
            self._torchserve.discard(lane)

    async def _wait_until_proved(self, loaded: LoadedVersion) -> None:
        lane = loaded.lane
        worker_log = self._log.worker(lane.name, lane.torchserve_version)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            failure = self._failure_of(lane)
            if failure is None and worker_log.deaths:
                # Its last words arrive after the word of its death.
                await asyncio.sleep(LAST_WORDS_SECONDS)
                failure = self._failure_of(lane) or worker_log.reason()
            if failure is not None:
                raise VersionStartError(f"{loaded.name} {loaded.version} cannot start: {failure}")
            loaded.observe(await self._torchserve.describe(lane))
            if loaded.status.ready_workers >= lane.workers:
                return
            if time.monotonic() > deadline:
                raise VersionStartError(
                    f"{loaded.name} {loaded.version} was not ready after {START_TIMEOUT_SECONDS} s: "
                    f"{loaded.status.ready_workers} of {lane.workers} workers are."
                )
            await asyncio.sleep(POLL_SECONDS)

    def _failure_file(self, lane: Lane) -> Path:
        return self._runtime.failures / f"{lane.folder_name}.json"

    def _failure_of(self, lane: Lane) -> str | None:
        try:
            failure = json.loads(self._failure_file(lane).read_text())
        except FileNotFoundError:
            return None
        return str(failure["message"])

    def _worker_settings(
        self, loaded: LoadedVersion, published: PublishedVersion, identities: dict[str, FileIdentity]
    ) -> WorkerSettings:
        metrics_folder = self._runtime.metrics / loaded.metrics_folder
        metrics_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return WorkerSettings(
            name=loaded.name,
            version=loaded.version,
            digest=published.digest,
            version_folder=str(published.folder),
            checkpoint=published.manifest.checkpoint,
            files=identities,
            architectures=self._architectures,
            batch_size=loaded.settings.batch_size,
            threads=loaded.settings.threads,
            metrics_folder=str(metrics_folder),
            failure_file=str(self._failure_file(loaded.lane)),
        )
